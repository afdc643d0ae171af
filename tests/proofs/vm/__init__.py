"""What runs inside the virtual machine of `powercut` and `realclocks`; imports nothing of the tests but what is here.

first     the first process: modules, mounts, and one of the plays below
mapper    the device mapper: a disk that fails or forgets writes from one instant on
writer    a real spool on the disk under test, which says what it promises
watcher   looks at a real agent from outside, and says what that promises
timed     a real agent whose clock the host sets, over a network
words     the lines in which all of them speak to the host
"""
