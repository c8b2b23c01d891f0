#!/usr/bin/env python3
"""Has the clients and servers of others, from PyPI, talk with `bitvla-eval serve` and `--policy openpi:URL`, `vla-eval:URL`.

    python3 tests/remote_clients.py [WORK_DIR]

openpi-client 0.1.2 and the connection of vla-eval 0.8.0 ask `serve` for actions: both get the same ones, vla-eval's comparison of
interfaces finds no difference between `serve` and its LIBERO benchmark, a malformed observation and a wrong key are refused with
words. A model server of vla-eval, which collects the observations of parallel episodes into batches, and a server made of
openpi-client's codec (openpi's own is not on PyPI) drive the robot here: they see images, state and words as they expect them. Ends
with code 77 where the packages cannot be installed.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["openpi-client==0.1.2", "vla-eval==0.8.0"]

# Both protocols ask for the same observation: openpi's client once, vla-eval's in eight control steps.
CLIENTS = '''
import sys
import anyio
import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy
from vla_eval.benchmarks.libero.benchmark import LIBEROBenchmark
from vla_eval.connection import Connection
from vla_eval.specs import DimSpec, check_specs

openpi, vla_eval, words = sys.argv[1:]
rng = np.random.default_rng(5)
image = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
wrist = rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)
state = np.array([-0.05, 0.01, 1.1, 3.1, 0.02, -0.03, 0.04, -0.04])

client = WebsocketClientPolicy(openpi)
assert client.get_server_metadata()["interface"]["policy"] == "ternary"
observation = {"observation/image": image, "observation/wrist_image": wrist, "observation/state": state, "prompt": words}
answer = client.infer(observation)
chunk = np.asarray(answer["actions"])
# Motions are not clipped before the robot does it: what lies beyond the percentiles of the demonstrations is a little above 1. The gripper is open or closed.
assert chunk.shape == (8, 7) and np.isfinite(chunk).all() and (abs(chunk) < 2).all() and (abs(chunk[:, 6]) == 1).all(), chunk
assert answer["server_timing"]["infer_ms"] > 0
second = WebsocketClientPolicy(openpi)
assert np.array_equal(second.infer(observation)["actions"], chunk)
# Other types that clients send: float32 states, images that are not contiguous.
odd = dict(observation, **{"observation/state": state.astype(np.float32), "observation/image": image[::-1][::-1]})
assert np.asarray(second.infer(odd)["actions"]).shape == (8, 7)
try:
    client.infer({"observation/image": image})
    raise SystemExit("an observation without words was answered")
except RuntimeError as error:
    assert "prompt" in str(error), error
# One client that was refused harms no other.
assert np.array_equal(second.infer(observation)["actions"], chunk)

async def ask():
    connection = Connection(vla_eval)
    await connection.connect(benchmark="libero")
    specs = lambda name: {key: DimSpec.from_dict(spec) for key, spec in connection.server_info[name].items()}
    benchmark = LIBEROBenchmark.__new__(LIBEROBenchmark)
    benchmark.send_wrist_image = benchmark.send_state = True
    found = check_specs(specs("action_spec"), benchmark.get_action_spec(), specs("observation_spec"), benchmark.get_observation_spec())
    assert found == [], found
    await connection.start_episode({"task": {"name": "bowl"}})
    actions = []
    for _ in range(8):
        answer = await connection.act({"images": {"agentview": image, "wrist": wrist}, "states": state, "task_description": words})
        actions.append(np.asarray(answer["actions"]))
    await connection.end_episode({"metrics": {"success": True}})
    await connection.close()
    return np.stack(actions)

assert np.array_equal(anyio.run(ask), chunk)
'''

KEY = '''
import sys
from openpi_client.websocket_client_policy import WebsocketClientPolicy
assert WebsocketClientPolicy(sys.argv[1], api_key="right").get_server_metadata()
for key in (None, "wrong"):
    try:
        WebsocketClientPolicy(sys.argv[1], api_key=key)
        raise SystemExit(f"the key {key} was taken")
    except Exception as error:
        assert "401" in str(error), error
'''

# Stands still; prints what it has seen when it is asked to end.
MODEL_SERVER = '''
import json, signal, sys
import numpy as np
from vla_eval.model_servers.predict import PredictModelServer
from vla_eval.model_servers.serve import serve
from vla_eval.specs import GRIPPER_CLOSE_POS, IMAGE_RGB, LANGUAGE, POSITION_DELTA, ROTATION_AA, STATE_EEF_POS_AA_GRIP

class Still(PredictModelServer):
    def __init__(self):
        super().__init__(max_batch_size=2, max_wait_time=0.2)
        self.seen = dict(batches=[], started=0, ended=0, words=[], shapes=[])

    def get_action_spec(self):
        return {"position": POSITION_DELTA, "rotation": ROTATION_AA, "gripper": GRIPPER_CLOSE_POS}

    def get_observation_spec(self):
        return {"agentview": IMAGE_RGB, "wrist": IMAGE_RGB, "state": STATE_EEF_POS_AA_GRIP, "language": LANGUAGE}

    async def on_episode_start(self, config, ctx):
        self.seen["started"] += 1
        await super().on_episode_start(config, ctx)

    async def on_episode_end(self, result, ctx):
        self.seen["ended"] += 1
        await super().on_episode_end(result, ctx)

    def predict(self, obs, ctx):
        return self.predict_batch([obs], [ctx])[0]

    def predict_batch(self, obs_batch, ctx_batch):
        self.seen["batches"].append(len(obs_batch))
        for obs in obs_batch:
            images = obs["images"]
            shapes = [list(images[name].shape) + [str(images[name].dtype)] for name in ("agentview", "wrist")]
            shapes.append(list(np.asarray(obs["states"]).shape))
            if shapes not in self.seen["shapes"]:
                self.seen["shapes"].append(shapes)
            if obs["task_description"] not in self.seen["words"]:
                self.seen["words"].append(obs["task_description"])
        return [{"actions": np.array([0, 0, 0, 0, 0, 0, -1], dtype=np.float32)} for _ in obs_batch]

server = Still()
def end(*_):
    print(json.dumps(server.seen), flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
serve(server, "127.0.0.1", int(sys.argv[1]))
'''

OPENPI_SERVER = '''
import json, signal, sys
import numpy as np
from openpi_client import msgpack_numpy
from websockets.sync.server import serve

seen = dict(queries=0, keys=[], shapes=[])
def handler(socket):
    socket.send(msgpack_numpy.packb({}))
    for message in socket:
        observation = msgpack_numpy.unpackb(message)
        seen["queries"] += 1
        seen["keys"] = sorted(observation)
        seen["shapes"] = [list(observation[f"observation/{name}"].shape) for name in ("image", "wrist_image", "state")]
        actions = np.zeros((10, 7), dtype=np.float64)
        actions[:, 6] = -1
        socket.send(msgpack_numpy.packb({"actions": actions, "server_timing": {"infer_ms": 1.5}}))

def end(*_):
    print(json.dumps(seen), flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
with serve(handler, "127.0.0.1", int(sys.argv[1]), compression=None, max_size=None) as server:
    server.serve_forever()
'''


def install(work):
    """Python of an environment with the packages."""
    environment = work / "environment"
    python = environment / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    done = subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], capture_output=True, text=True, timeout=300)
    if done.returncode:
        print(f"SKIPPED: {', '.join(PACKAGES)} cannot be installed: {done.stderr.strip()[-200:]}")
        sys.exit(77)
    return python


class Serving:
    """A running `bitvla-eval serve`."""

    def __init__(self, program, *words, key=None):
        environment = dict(os.environ, **({"BITVLA_API_KEY": key} if key else {}))
        command = [program, "serve", "--suite", "spatial", "--port", "0", *words]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        self.url = next(word.rstrip(",") for word in line.split() if word.startswith("ws://"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def drive(python, program, script, protocol, out, *words):
    """Runs episodes with a server of others; returns what the server has seen."""
    import json
    port = free_port()
    server = subprocess.Popen([python, "-c", script, str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    policy = f"{protocol}:ws://127.0.0.1:{port}"
    run = [program, "--suite", "spatial", "--policy", policy, "--out", out, *words]
    done = subprocess.run(run, cwd=REPOSITORY, capture_output=True, text=True)
    server.terminate()
    printed, errors = server.communicate(timeout=20)
    assert done.returncode == 0, (done.stderr, errors[-2000:])
    assert "harness error" not in done.stdout, done.stdout
    return json.loads(printed)


def main():
    work = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()).resolve()
    work.mkdir(parents=True, exist_ok=True)
    python = install(work)
    if os.environ.get("INSTALL_ONLY"):
        return
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "bitvla-eval"], cwd=REPOSITORY, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    program = target / "release" / "bitvla-eval"
    words = "pick up the black bowl next to the plate and place it on the plate"
    with Serving(program) as openpi, Serving(program, "--protocol", "vla-eval") as vla_eval:
        subprocess.run([python, "-c", CLIENTS, openpi.url, vla_eval.url, words], check=True)
    with Serving(program, key="right") as server:
        subprocess.run([python, "-c", KEY, server.url], check=True)

    runs = work / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    seen = drive(python, program, MODEL_SERVER, "vla-eval", runs / "vla-eval", "--tasks", "0,1", "--episodes", "1", "--jobs", "2")
    image = [224, 224, 3, "uint8"]
    assert seen["shapes"] == [[image, image, [8]]], seen["shapes"]
    assert seen["started"] >= 2 and seen["ended"] >= 2 and len(seen["words"]) == 2, seen
    # The policy is asked in each of the 220 control steps of both episodes, mostly for both at once.
    assert sum(seen["batches"]) >= 440 and max(seen["batches"]) == 2, seen["batches"]
    pairs = sum(batch == 2 for batch in seen["batches"])
    seen = drive(python, program, OPENPI_SERVER, "openpi", runs / "openpi", "--tasks", "2", "--episodes", "1")
    assert seen["shapes"] == [[224, 224, 3], [224, 224, 3], [8]], seen
    assert seen["keys"] == ["observation/image", "observation/state", "observation/wrist_image", "prompt"], seen
    # Five of the ten actions of an answer are executed, as by openpi's client of LIBERO; one query more checks the policy before the run.
    assert 44 <= seen["queries"] <= 46, seen
    print(f"openpi-client 0.1.2 and vla-eval 0.8.0, both ways: the same actions through both; {pairs} batches of two parallel episodes")


if __name__ == "__main__":
    main()
