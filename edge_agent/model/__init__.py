"""Floor 0: the nouns that every room speaks, and the ports through which a room meets the world.

Imports the standard library only. Values are frozen; ports are protocols. Nothing here waits, reads a
file, opens a socket or knows the time.

    reading    one number of one sensor, or its absence with a reason; ticks of readings; series
    frame      a sealed batch under its identity, lanes, inventories, losses
    http       requests and answers as values
    verdict    what an answer means for the frames that were asked about
    word       what the hub says to a device: instructions, config documents, watch leases
    anchor     what is known about true time on a device's axis
    lamp       the health of a part
    quantity   durations and sizes as people write them
    failure    the three errors that people read
    ports      clock, randomness, disk, offload, host, link
    buffers    what the spool offers to the parts that fill and empty it
    offers     what a shelf module declares
"""
