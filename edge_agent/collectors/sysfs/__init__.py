"""What the collectors of sysfs share: folders whose members come and go, and files that hold one number.

Nothing here is a collector, so the shelf passes it over.
"""
