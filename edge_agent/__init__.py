"""A telemetry agent for Jetson boards and Linux hosts, with a small hub. The map of the house.

    up      sample -> seal -> store -> push            numbers leave the device
    down    stream -> instruct -> apply -> report      words reach it, answers go back

Floors; a file imports only from lower ones, and rooms on one floor meet in the ports of `model`:

    6  __main__, cli                      commands
    5  agent                              wiring: introduces the parts to each other
    4  config                             settings from file, environment and flags
    3  uplink downlink spool local hub    the living parts (the agent never imports the hub)
    2  link collectors dialects handlers  the way out, and the shelves: one file an extension
    1  wire kit                           bytes <-> values; clock, disk, threads
    0  model                              nouns and ports
"""
