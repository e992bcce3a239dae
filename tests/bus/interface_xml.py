"""One interface of an introspection answer as a canonical XML file: what systemd/*.xml are made with.

    busctl introspect --xml-interface NAME PATH | tests/bus/interface_xml.py INTERFACE > systemd/INTERFACE.xml

The shipped files also have comments, written by hand: what a dictionary's keys mean.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

DOCTYPE = """<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
"""


def canonical(introspection: str, interface: str) -> str:
    root = ElementTree.fromstring(introspection)
    found = root.find(f"interface[@name='{interface}']")
    if found is None:
        raise ValueError(f"no interface {interface}")
    # Methods, properties, signals, each by name: libraries differ in the order they export them in.
    found[:] = sorted(found, key=lambda member: (member.tag, member.get("name", "")))
    node = ElementTree.Element("node")
    node.append(found)
    ElementTree.indent(node, " ")
    return DOCTYPE + ElementTree.tostring(node, encoding="unicode") + "\n"


if __name__ == "__main__":
    sys.stdout.write(canonical(sys.stdin.read(), sys.argv[1]))
