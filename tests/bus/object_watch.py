"""A client that keeps a list of tasks by ObjectManager's signals, as desktop and cluster tools do: object_watch.py LIBRARY ADDRESS.

LIBRARY is gio (GLib's DBusObjectManagerClient) or dbus (dbus-python, by hand, as its users do it). Prints the list, as one line of
JSON, whenever it changes; leaves when its input ends. For Debian's own interpreter, which has python3-gi and python3-dbus.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import gi

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

NAME = "org.sluice.Governor1"
ROOT = "/org/sluice/Governor1"
TASK = f"{NAME}.Task"
MANAGER = "org.freedesktop.DBus.ObjectManager"


def show(paths: Any) -> None:
    print(json.dumps(sorted(path.rsplit("/", 1)[1] for path in paths if "/task/" in path)), flush=True)


def watch_with_gio(address: str) -> Any:
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    bus = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
    client = Gio.DBusObjectManagerClient.new_sync(bus, Gio.DBusObjectManagerClientFlags.NONE, NAME, ROOT, None, None, None)

    def shown(*_: Any) -> None:
        show(o.get_object_path() for o in client.get_objects() if o.get_interface(TASK) is not None)
    for signal in ("object-added", "object-removed", "notify::name-owner"):
        client.connect(signal, shown)
    shown()
    return client


def watch_with_dbus_python(address: str) -> Any:
    import dbus.bus
    from dbus.mainloop.glib import DBusGMainLoop
    bus = dbus.bus.BusConnection(address, mainloop=DBusGMainLoop())
    objects: dict[str, set[str]] = {}

    def added(path: str, interfaces: dict[str, Any]) -> None:
        objects.setdefault(str(path), set()).update(map(str, interfaces))
        show(path for path, faces in objects.items() if TASK in faces)

    def removed(path: str, interfaces: list[str]) -> None:
        if str(path) in objects:
            objects[str(path)] -= set(map(str, interfaces))
            if not objects[str(path)]:
                del objects[str(path)]
        show(path for path, faces in objects.items() if TASK in faces)

    bus.add_signal_receiver(added, "InterfacesAdded", MANAGER, NAME, ROOT)
    bus.add_signal_receiver(removed, "InterfacesRemoved", MANAGER, NAME, ROOT)
    for path, interfaces in dbus.Interface(bus.get_object(NAME, ROOT, introspect=False), MANAGER).GetManagedObjects().items():
        objects[str(path)] = set(map(str, interfaces))
    show(path for path, faces in objects.items() if TASK in faces)
    return bus


def main() -> int:
    kept = {"gio": watch_with_gio, "dbus": watch_with_dbus_python}[sys.argv[1]](sys.argv[2])
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IOCondition.HUP | GLib.IOCondition.IN, lambda *_: loop.quit())
    loop.run()
    del kept
    return 0


if __name__ == "__main__":
    sys.exit(main())
