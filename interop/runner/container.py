"""What tern runs in as the interop runner's endpoint: a root file system, the runner's mounts, the
environment, and the capabilities and memory that Docker would leave it.

Below tern's files lie either this machine's own programs (`HostRoot`), or the image that interop/image
has made of the Dockerfile (`ImageRoot`).
"""

import json
import resource
import shlex

from harness.process import INTEROP

# What Docker leaves a container with, and the NET_ADMIN and the limit of the runner's compose file;
# where this process may lock less memory itself, it stays at that.
_CAPABILITIES = ("chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,"
                 "net_raw,sys_chroot,mknod,audit_write,setfcap,net_admin").split(",")
_MEMLOCK = min(limit for limit in (64 << 20, *resource.getrlimit(resource.RLIMIT_MEMLOCK))
               if limit != resource.RLIM_INFINITY)
_LEFT = ["prlimit", f"--memlock={_MEMLOCK}", "setpriv", "--inh-caps=-all", "--bounding-set",
         ",".join(["-all", *("+" + name for name in _CAPABILITIES)])]

# The two scripts of the runner's image: the network is there already, so that only the folder for
# qlogs is left to set up, and bash waits for the simulator's port.
SETUP = "#!/bin/sh\nmkdir -p /logs/qlog\n"
WAIT_FOR_IT = """#!/bin/bash
for _ in {1..300}; do
  (exec 3<>"/dev/tcp/${1%:*}/${1#*:}") 2>/dev/null && exit
  sleep 0.1
done
exit 1
"""


def _bind(root, mounts, read_only=("www", "certs")):
    """The runner's folders, of which an endpoint may write to some."""
    lines = [f"mkdir -p {root}/{name}; mount --bind {shlex.quote(str(source))} {root}/{name}"
             for name, source in mounts.items()]
    lines += [f"mount -o remount,bind,ro {root}/{name}" for name in read_only if name in mounts]
    return "\n".join(lines)


def _inside(root, variables, words, folder="/"):
    environment = [f"{name}={value}" for name, value in variables.items()]
    return [*_LEFT, "chroot", root, "/usr/bin/env", "-i", f"--chdir={folder}", *environment, *words]


class HostRoot:
    """run_endpoint.sh and the files that collect_files.sh puts into the image, on this machine's programs."""

    def __init__(self, tern):
        self._tern = tern  # folder with bin/tern and lib/

    def command(self, space, root, scratch, mounts, variables):
        """What runs tern in `space`, a Namespace; `root` is made, `scratch` is a folder for files."""
        for name, text in (("setup.sh", SETUP), ("wait-for-it.sh", WAIT_FOR_IT)):
            script = scratch / name
            script.write_text(text)
            script.chmod(0o755)
        space.run(f"""mkdir -p {root}
            mount -t tmpfs tmpfs {root}
            for each in bin sbin lib lib32 lib64 libx32; do
              if [ -L /$each ]; then cp -P /$each {root}/$each
              elif [ -d /$each ]; then mkdir {root}/$each; mount --rbind /$each {root}/$each; fi
            done
            for each in usr etc proc dev sys; do
              mkdir {root}/$each; mount --rbind /$each {root}/$each
            done
            mkdir -m 1777 {root}/tmp
            {_bind(root, {**mounts, "opt/tern": self._tern}, ("www", "certs", "opt/tern"))}
            cp {scratch}/setup.sh {scratch}/wait-for-it.sh {root}/
            cp {INTEROP}/run_endpoint.sh {root}/""")
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables}
        return _inside(root, variables, ["/run_endpoint.sh"])


class ImageRoot:
    """The image, with a layer above it for what is written; its entry point and environment."""

    def __init__(self, image):
        self._image = image.resolve()
        self._about = json.loads((image / ".image.json").read_text())

    def command(self, space, root, scratch, mounts, variables):
        layer = f"{root}-layer"
        space.run(f"""mkdir -p {root} {layer}
            mount -t tmpfs tmpfs {layer}
            mkdir {layer}/upper {layer}/work
            mount -t overlay overlay -o lowerdir={self._image},upperdir={layer}/upper,workdir={layer}/work {root}
            for each in proc dev sys; do mkdir -p {root}/$each; mount --rbind /$each {root}/$each; done
            for each in hosts resolv.conf; do
              touch {root}/etc/$each; mount --bind /etc/$each {root}/etc/$each
            done
            {_bind(root, mounts)}""")
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                     **self._about["env"], **variables}
        return _inside(root, variables, self._about["entrypoint"], self._about["work"])
