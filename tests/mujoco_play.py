#!/usr/bin/env python3
"""Plays a policy that `bitvla-eval serve` serves in LIBERO's own MuJoCo world; one CSV row per episode, for `bitvla-eval truth`.

    bitvla-eval serve --suite spatial --policy ternary --port 8000 &
    python3 tests/mujoco_play.py --libero DIR [--robosuite DIR] --reference DIR --suite spatial --policy ternary \\
        [--server ws://127.0.0.1:8000] [--episodes 10] [--tasks 0,1] [--offset 0] --out FILE.csv

DIR of --libero holds libero/libero/{envs,utils,benchmark,assets,bddl_files,init_files}; --robosuite a folder with the package
robosuite, if it is not installed; --reference the folder of init_states.json, whose fixture poses are those of the evaluation protocol
(tests/mujoco.sh lays all out). Needs what tests/mujoco_contacts.py needs, openpi-client 0.1.2 and OSMesa (Debian: libosmesa6).

The protocol is that of the published evaluation: ten settling steps with the gripper open, at most the suite's horizon, success when the goal
holds after a step; observations are those of robosuite's own sampling instant within a control step. Resets are soft (fixtures go where the
reference says), and cameras are drawn only for a query. --offset moves every free object and the seven arm joints by this much (m, rad)
at the start, with signs drawn from task and state: how much an imperceptible difference changes. A file that holds rows is
continued, if they are of the same checkpoint. Columns: those of episodes.csv that matter, the world, seconds, and the sha256 of the
checkpoint as the server tells it.
"""
import argparse
import csv
import importlib.metadata
import json
import os
import pathlib
import sys
import time

import mujoco_contacts  # sets MUJOCO_GL, which is replaced below

os.environ["MUJOCO_GL"] = os.environ["PYOPENGL_PLATFORM"] = "osmesa"
os.environ.setdefault("LP_NUM_THREADS", "1")
CAMERAS = ("agentview", "robot0_eye_in_hand")
HORIZON = {"spatial": 220, "object": 280, "goal": 300, "long": 520}
FIELDS = ["world", "policy", "suite", "task", "init", "success", "steps", "queries", "seconds", "query_seconds", "checkpoint_sha256"]


class PlayedTask(mujoco_contacts.Task):
    """A task whose cameras are drawn at the instant at which robosuite samples, when `look` was set."""

    def __init__(self, envs, libero, suite, task, side):
        self.render = dict(has_offscreen_renderer=True, camera_names=list(CAMERAS), camera_heights=side, camera_widths=side)
        super().__init__(envs, libero, suite, task)
        self.side, self.look, self.frames = side, False, None
        words = self.env.language_instruction if hasattr(self.env, "language_instruction") else None
        self.words = words or " ".join(self.env.env.parsed_problem["language_instruction"])

    def begin(self, init, fixtures, offset):
        import numpy as np

        self.start(init, fixtures)
        if offset:
            sim, signs = self.env.sim, np.random.default_rng([11, init])
            positions = list(range(7)) + [at for name in sim.model.joint_names if name.endswith("joint0")
                                          for at in range(sim.model.get_joint_qpos_addr(name)[0], sim.model.get_joint_qpos_addr(name)[0] + 3)]
            for at in positions:
                sim.data.qpos[at] += offset * signs.choice([-1.0, 1.0])
            sim.forward()
        self._listen()
        for i, action in enumerate(mujoco_contacts.SETTLE):
            self.look = i + 1 == len(mujoco_contacts.SETTLE)
            observation = self.env.step(action)[0]
        self.look = False
        return observation

    def _listen(self):
        """The sensor that robosuite asks within a control step is wrapped, so that images are of the same instant."""
        observable = self.env.env._observables["robot0_eef_pos"]
        inner = getattr(observable._sensor, "inner", observable._sensor)

        def sensor(cache):
            if self.look:
                self.frames = self.draw()
            return inner(cache)

        sensor.__modality__, sensor.inner = inner.__modality__, inner
        observable._sensor = sensor

    def draw(self):
        """Both cameras as policies see them: both axes of the raw buffer flipped."""
        import numpy as np

        raw = [self.env.sim.render(width=self.side, height=self.side, camera_name=camera) for camera in CAMERAS]
        return [np.ascontiguousarray(image[::-1, ::-1]) for image in raw]

    def step(self, action, look):
        self.look = look
        observation, _, done, _ = self.env.step(action)
        self.look = False
        return observation, bool(done)


def axis_angle(quaternion):
    """robosuite's rule: the sign of the quaternion (x, y, z, w) is kept."""
    import numpy as np

    x, y, z, w = (float(v) for v in quaternion)
    w = min(1.0, max(-1.0, w))
    s = np.sqrt(1.0 - w * w)
    return np.zeros(3) if s == 0.0 else np.array([x, y, z]) * (2.0 * np.arccos(w) / s)


def proprioception(observation):
    import numpy as np

    rotation = axis_angle(observation["robot0_eef_quat"])
    return np.concatenate([observation["robot0_eef_pos"], rotation, observation["robot0_gripper_qpos"]])


def play(task, state, init, client, executed, horizon, offset):
    """One episode: success, steps, queries, seconds of the queries."""
    import numpy as np

    observation = task.begin(init, state["fixtures"], offset)
    chunk, steps, queries, waited = [], 0, 0, 0.0
    while steps < horizon:
        if not chunk:
            asked = time.perf_counter()
            answer = client.infer({"observation/image": task.frames[0], "observation/wrist_image": task.frames[1],
                                   "observation/state": proprioception(observation), "prompt": task.words})
            waited += time.perf_counter() - asked
            chunk, queries = list(np.asarray(answer["actions"], float)[:executed]), queries + 1
        action = chunk.pop(0)
        observation, done = task.step(action, look=not chunk)
        steps += 1
        if done:
            return True, steps, queries, waited
    return False, steps, queries, waited


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("libero", "reference", "out"):
        options.add_argument(f"--{name}", type=pathlib.Path, required=True)
    options.add_argument("--robosuite", type=pathlib.Path)
    options.add_argument("--suite", choices=list(HORIZON), required=True)
    options.add_argument("--policy", required=True, help="name for the rows")
    options.add_argument("--server", default="ws://127.0.0.1:8000")
    options.add_argument("--tasks", default=",".join(map(str, range(10))))
    options.add_argument("--episodes", type=int, default=10)
    options.add_argument("--offset", type=float, default=0.0)
    o = options.parse_args()
    if o.robosuite:
        sys.path.insert(0, str(o.robosuite))
    envs = mujoco_contacts.import_envs(o.libero.resolve())
    from openpi_client.websocket_client_policy import WebsocketClientPolicy

    client = WebsocketClientPolicy(o.server)
    facts = client.get_server_metadata()["interface"]
    side, executed = int(facts["image size"]), int(facts["executed steps"])
    suite = "libero_" + {"long": "10"}.get(o.suite, o.suite)
    states = json.loads((o.reference / "init_states.json").read_text())["suites"][suite]
    world = f"mujoco {importlib.metadata.version('mujoco')}" + (f" moved by {o.offset:g}" if o.offset else "")
    checkpoint = facts["checkpoint sha256"]
    held, begun = set(), o.out.is_file() and o.out.stat().st_size > 0
    if begun:
        with open(o.out, newline="") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames != FIELDS:
                sys.exit(f"{o.out}: found the columns {rows.fieldnames}, expected {FIELDS}")
            for row in rows:
                if (row["policy"], row["suite"]) == (o.policy, o.suite) and row["checkpoint_sha256"] != checkpoint:
                    sys.exit(f"{o.out}: found rows of {o.policy} with checkpoint {row['checkpoint_sha256']}, the server's is {checkpoint}: "
                             "take the rows out, or another file")
                held.add((row["world"], row["policy"], row["suite"], int(row["task"]), int(row["init"])))
    o.out.parent.mkdir(parents=True, exist_ok=True)
    with open(o.out, "a", newline="") as file:
        table = csv.DictWriter(file, FIELDS)
        if not begun:
            table.writeheader()
        for number in map(int, o.tasks.split(",")):
            todo = [i for i in range(o.episodes) if (world, o.policy, o.suite, number, i) not in held]
            if not todo:
                continue
            task = PlayedTask(envs, o.libero.resolve(), suite, number, side)
            for init in todo:
                began = time.perf_counter()
                state = states[str(number)]["states"][init]
                success, steps, queries, waited = play(task, state, init, client, executed, HORIZON[o.suite], o.offset)
                seconds = time.perf_counter() - began
                table.writerow(dict(world=world, policy=o.policy, suite=o.suite, task=number, init=init, success=int(success), steps=steps,
                                    queries=queries, seconds=f"{seconds:.2f}", query_seconds=f"{waited:.2f}", checkpoint_sha256=checkpoint))
                file.flush()
                print(f"{o.policy}, {o.suite} {number}, state {init}: {'success' if success else 'failure'} after {steps} steps, {seconds:.1f} s",
                      flush=True)
            task.env.close()


if __name__ == "__main__":
    main()
