"""As much of the pyshark package as the interop runner's own checks use, on top of tshark.

`install()` puts this and empty stand-ins of what else they import in the place of those packages.
Packets come from tshark's PDML. A layer's fields are attributes, named as pyshark names them: without
the layer's own prefix, with `_` for dots, and of several fields of a name the first.
"""

import datetime
import subprocess
import sys
import types
import xml.etree.ElementTree as ElementTree


class Field(str):
    raw_value = ""


def _attribute(name):
    return name.replace(".", "_").replace("-", "_").lower()


class Layer:
    def __init__(self, element):
        self.layer_name = element.get("name")
        self._fields = {}
        for each in element.iter("field"):
            name = each.get("name") or ""
            field = Field(each.get("show") or "")
            # A flag's bytes are those of its whole byte.
            field.raw_value = str(field) if name.endswith("key_phase") else each.get("value")
            self._fields.setdefault(_attribute(name.removeprefix(self.layer_name + ".")), field)

    def __getattr__(self, name):
        try:
            return self.__dict__["_fields"][_attribute(name)]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self):
        return f"<{self.layer_name.upper()} Layer>"


class Packet:
    def __init__(self, element):
        self.layers, self.sniff_time = [], None
        for each in element.findall("proto"):
            if each.get("name") != "geninfo":
                self.layers.append(Layer(each))
                continue
            time = next(field for field in each.iter("field") if field.get("name") == "timestamp")
            self.sniff_time = datetime.datetime.fromtimestamp(float(time.get("value")))

    def __contains__(self, name):
        return any(layer.layer_name == name for layer in self.layers)

    def __getitem__(self, name):
        for layer in self.layers:
            if layer.layer_name == name:
                return layer
        raise KeyError(name)

    def __getattr__(self, name):
        for layer in self.__dict__.get("layers", []):
            if layer.layer_name == name:
                return layer
        raise AttributeError(name)


def read_pdml(stream):
    root = None
    for event, element in ElementTree.iterparse(stream, events=("start", "end")):
        root = element if root is None else root
        if event == "end" and element.tag == "packet":
            yield Packet(element)
            root.clear()


class FileCapture:
    def __init__(self, name, display_filter="", override_prefs=None, disable_protocol=None,
                 decode_as=None):
        command = ["tshark", "-r", name, "-T", "pdml", "-Y", display_filter]
        for key, value in (override_prefs or {}).items():
            command += ["-o", f"{key}:{value}"]
        for key, value in (decode_as or {}).items():
            command += ["-d", f"{key},{value}"]
        if disable_protocol:
            command += ["--disable-protocol", disable_protocol]
        self._tshark = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __iter__(self):
        return read_pdml(self._tshark.stdout)

    def close(self):
        self._tshark.stdout.close()
        self._tshark.wait()


def install():
    def module(name, **members):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__.update(members)

    module("pyshark", FileCapture=FileCapture)
    # Of files and their names, which the checks do not make.
    module("Crypto")
    module("Crypto.Cipher", AES=None)
    module("random_slugs", generate_slug=None)
