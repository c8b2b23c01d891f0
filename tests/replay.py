#!/usr/bin/env python3
"""Repeats recorded episodes in node, headless Chromium and headless Firefox, from files on the disk.

    python3 tests/replay.py [WORK_DIR]

In node: the ten pinned episodes of the world, every state and frame equal to the native ones. In both browsers: the same, through the
worker of the report; a report with episodes of four suites, whose player is used by its buttons and by the keyboard, at 1280 and 390 pixels;
the playground, driven by keys to the state that the same actions have natively. Fails on any message of the console, any request, a
page wider than the window, another hash. Prints how fast the player was; that is no test. Screenshots go to WORK_DIR. Needs Debian's nodejs,
chromium and firefox-esr; installs them as root, and ends with code 77 where they cannot be had.
"""
import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from report import REPOSITORY, Browser, chromium

PROGRAMS = {"node": "nodejs", "firefox-esr": "firefox-esr"}


def install():
    """Installs what is missing; ends the program where it cannot be had."""
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing and os.getuid() == 0 and shutil.which("apt-get"):
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", *missing], **quiet)
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if missing:
        print(f"SKIPPED: nothing was replayed; it needs: apt-get install {' '.join(missing)}")
        sys.exit(77)


class Firefox:
    """A page in headless Firefox, driven by Marionette: messages LENGTH:JSON over a socket."""

    def __init__(self, profile):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        pathlib.Path(profile, "user.js").write_text(
            f'user_pref("marionette.port", {port});\nuser_pref("app.update.enabled", false);\nuser_pref("datareporting.policy.dataSubmissionEnabled", false);\n')
        self.process = subprocess.Popen(["firefox-esr", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", str(profile)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("Firefox does not answer")
        self.socket.settimeout(300)
        self.rest, self.number = b"", 0
        self.receive()
        self.call("WebDriver:NewSession", capabilities={"alwaysMatch": {"acceptInsecureCerts": False}})
        self.call("WebDriver:SetTimeouts", script=280000, pageLoad=280000)

    def receive(self):
        while b":" not in self.rest:
            self.rest += self.socket.recv(1 << 16)
        length, self.rest = self.rest.split(b":", 1)
        while len(self.rest) < int(length):
            self.rest += self.socket.recv(1 << 20)
        message, self.rest = self.rest[: int(length)], self.rest[int(length):]
        return json.loads(message)

    def call(self, name, **params):
        self.number += 1
        message = json.dumps([0, self.number, name, params]).encode()
        self.socket.sendall(str(len(message)).encode() + b":" + message)
        _, _, error, result = self.receive()
        assert error is None, (name, error)
        return result

    def open(self, address, width, scheme="light"):
        self.call("WebDriver:SetWindowRect", width=width, height=900)
        self.chrome("Services.console.reset()")
        self.call("WebDriver:Navigate", url=address)

    def chrome(self, script):
        """The value of a script in the browser itself."""
        self.call("Marionette:SetContext", value="chrome")
        try:
            return self.call("WebDriver:ExecuteScript", script=script, args=[], sandbox="default")["value"]
        finally:
            self.call("Marionette:SetContext", value="content")

    def value(self, expression):
        script = f"const done = arguments[arguments.length - 1]; Promise.resolve({expression}).then(done, (error) => done('ERROR ' + error));"
        value = self.call("WebDriver:ExecuteAsyncScript", script=script, args=[], sandbox=None)["value"]
        assert not (isinstance(value, str) and value.startswith("ERROR")), (expression, value)
        return value

    def press(self, *keys):
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("WebDriver:PerformActions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def complaints(self, address):
        """Messages about the page, and what it loaded beside itself."""
        script = "return Services.console.getMessageArray().filter((m) => m instanceof Ci.nsIScriptError && m.sourceName.startsWith(arguments[0])).map((m) => m.errorMessage)"
        self.call("Marionette:SetContext", value="chrome")
        found = self.call("WebDriver:ExecuteScript", script=script, args=[address.split("#")[0]], sandbox="system")["value"]
        self.call("Marionette:SetContext", value="content")
        loaded = self.value("performance.getEntriesByType('resource').map((entry) => entry.name).filter((name) => !/^(blob|data):/.test(name))")
        return found + loaded

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.call("WebDriver:TakeScreenshot", full=True)["value"]))

    def close(self):
        try:
            self.call("Marionette:Quit", flags=["eForceQuit"])
            self.process.wait(20)
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired):
            self.process.kill()


class Chromium(Browser):
    """As [`Firefox`] has it."""

    def press(self, *keys):
        # Name, then code of the key.
        named = {"\ue012": ("ArrowLeft", 37), "\ue014": ("ArrowRight", 39), " ": (" ", 32)}
        for key in keys:
            name, code = named.get(key, (key, ord(key.upper())))
            text = {} if len(name) > 1 else {"text": name}
            for kind in ("keyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, key=name, windowsVirtualKeyCode=code, **(text if kind == "keyDown" else {}))

    def complaints(self, address):
        return [found for found in super().complaints(address) if not found.startswith("request: blob:")]


def until(browser, expression, seconds=120):
    """The value of an expression once it is not null."""
    end = time.time() + seconds
    while time.time() < end:
        value = browser.value(expression)
        if value is not None:
            return value
        time.sleep(0.1)
    raise AssertionError(f"{expression} stayed null for {seconds} s")


PINNED = """(() => {
  const worker = new Worker(URL.createObjectURL(new Blob([document.getElementById('worker').textContent], {type: 'text/javascript'})));
  const waiting = new Map();
  worker.onmessage = ({data}) => { if (data.id !== undefined) waiting.get(data.id)(data); };
  let number = 0;
  const ask = (name, args) => new Promise((resolve, reject) => {
    waiting.set(++number, ({result, error}) => error === undefined ? resolve(result) : reject(new Error(error)));
    worker.postMessage({id: number, name, args});
  });
  const record = JSON.parse(document.getElementById('record').textContent);
  return (async () => {
    await ask('load', {module: document.getElementById('module').textContent, files: record.files, worldVersion: record.world_version});
    const results = [];
    for (const episode of record.episodes) {
      await ask('open', episode);
      const {same, states, kept, frames, otherState, otherFrame} = await ask('repeat');
      results.push({suite: episode.spec.suite, task: episode.spec.task, same, states, kept, frames, otherState, otherFrame});
    }
    return results;
  })();
})()"""


def check_pinned(where, results):
    """All ten episodes have the recorded hashes."""
    assert len(results) == 10, results
    for one in results:
        assert one["same"] and one["states"] == one["kept"] > 1 and one["frames"] > 0, (where, one)
        assert one["otherState"] is None and one["otherFrame"] is None, (where, one)
    states, frames = sum(one["states"] for one in results), sum(one["frames"] for one in results)
    print(f"{where}: 10 pinned episodes, {states} states and the frames of {frames} queries equal the native ones")


def play(name, browser, report, work):
    """Uses the player of a report."""
    address = report.as_uri()
    for width in (1280, 390):
        browser.open(address, width, "light")
        before = time.time()
        browser.value("document.getElementById('replay-start').click()")
        same = until(browser, "document.getElementById('replay').dataset.same ?? null")
        status = browser.value("document.getElementById('replay-status').textContent")
        assert same == "true", status
        if width == 1280:
            print(f"{name}: ready {time.time() - before:.1f} s after the click; {status}")
        wide = browser.value("document.documentElement.scrollWidth")
        inner = browser.value("innerWidth")
        assert wide <= inner, f"{name}: {wide} pixels wide in a window of {inner}"
        browser.value("document.getElementById('replay').scrollIntoView({behavior: 'instant'})")
        browser.screenshot(work / f"{report.stem}-{name}-{width}.png")
        assert not browser.complaints(address), browser.complaints(address)
    # The keyboard: Space on the picture plays and pauses, arrows turn the camera.
    step = "Number(document.getElementById('replay-slider').value)"
    last = browser.value("Number(document.getElementById('replay-slider').max)")
    browser.value("document.getElementById('replay-free').focus()")
    picture = "document.getElementById('replay-free').toDataURL().length + document.getElementById('replay-free').toDataURL().slice(-4000)"
    first = browser.value(picture)
    browser.press("\ue012", "\ue012", "\ue012")
    until(browser, f"({picture}) === {json.dumps(first)} ? null : true")
    browser.press(" ")
    started = time.time()
    until(browser, f"{step} >= {min(20, last)} ? true : null", 60)
    rate = browser.value(step) / (time.time() - started)
    browser.press(" ")
    assert browser.value("document.getElementById('replay-play').textContent") == "Play"
    # Scrubbing back and forth ends in the picture of the step.
    shown = "document.getElementById('replay-step').textContent"
    seek = lambda to: (browser.value(f"(() => {{ const s = document.getElementById('replay-slider'); s.value = {to}; s.dispatchEvent(new Event('input')); }})()"),
                       until(browser, f"({shown}).startsWith('step {to} ') ? true : null"))
    seek(15)
    there = browser.value("document.getElementById('replay-free').toDataURL()")
    seek(last)
    seek(15)
    assert browser.value("document.getElementById('replay-free').toDataURL()") == there, "a step is drawn otherwise on the way back"
    episodes = browser.value("document.getElementById('replay-episode').options.length")
    for index in range(1, episodes):
        browser.value(f"(() => {{ const s = document.getElementById('replay'); delete s.dataset.same; const e = document.getElementById('replay-episode'); e.selectedIndex = {index}; e.dispatchEvent(new Event('change')); }})()")
        same = until(browser, "document.getElementById('replay').dataset.same ?? null")
        assert same == "true", (index, browser.value("document.getElementById('replay-status').textContent"))
    assert not browser.complaints(address), browser.complaints(address)
    print(f"{name}: {episodes} episodes with the recorded bits; played at {rate:.1f} control steps per second at speed 1 (20)")


def drive(name, browser, page, work):
    """Drives the arm in the playground."""
    browser.open(page.as_uri(), 1280, "light")
    until(browser, "/^step [1-9]/.test(document.getElementById('state').textContent) ? true : null")
    height = "document.getElementById('state').textContent"
    before = browser.value(height)
    browser.press("e", "e", "w", "g")
    until(browser, f"({height}).includes('gripper closed') && ({height}) !== {json.dumps(before)} ? true : null")
    browser.screenshot(work / f"playground-{name}.png")
    browser.open(page.as_uri(), 390, "light")
    until(browser, "/^step [1-9]/.test(document.getElementById('state').textContent) ? true : null")
    assert browser.value("document.documentElement.scrollWidth") <= browser.value("innerWidth")
    assert not browser.complaints(page.as_uri()), browser.complaints(page.as_uri())


def main():
    work = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()).resolve()
    work.mkdir(parents=True, exist_ok=True)
    program = chromium()
    install()
    if os.environ.get("INSTALL_ONLY"):
        return
    built = ["--bin", "bitvla-eval", "--example", "playground", "--example", "record_pinned_episodes"]
    subprocess.run(["cargo", "build", "--release", "--quiet", *built], cwd=REPOSITORY, check=True)
    release = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release"
    run = lambda program, *words: subprocess.run([release / program, *map(str, words)], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(work / "runs", ignore_errors=True)
    run("bitvla-eval", "--suite", "all", "--policy", "expert", "--tasks", "0", "--episodes", "1", "--out", work / "runs" / "expert")
    run("bitvla-eval", "--suite", "spatial", "--policy", "ternary", "--tasks", "0", "--episodes", "1", "--out", work / "runs" / "ternary")
    run("bitvla-eval", "--suite", "spatial", "--policy", "ternary", "--perturb", "event:kind=target", "--tasks", "1", "--episodes", "1", "--out", work / "runs" / "event")
    report = work / "replay.html"
    run("bitvla-eval", "report", work / "runs" / "expert", "--replay", "0:0", "--out", report)
    one = work / "ternary.html"
    run("bitvla-eval", "report", work / "runs" / "ternary", "--replay", "0:0", "--out", one)
    perturbed = work / "perturbed.html"
    run("bitvla-eval", "report", work / "runs" / "event", "--replay", "1:0", "--out", perturbed)
    run("examples/playground", work / "playground.html")
    run("examples/record_pinned_episodes", work / "pinned")
    print(f"a report with 4 episodes: {report.stat().st_size / 1e6:.2f} MB; the playground: {(work / 'playground.html').stat().st_size / 1e6:.2f} MB")

    node = subprocess.run(["node", REPOSITORY / "tests" / "replay.mjs", work / "pinned"], check=True, capture_output=True, text=True)
    results = [json.loads(line) for line in node.stdout.splitlines()]
    check_pinned("node", results)
    rate = sum(one["steps"] for one in results) / sum(one["seconds"] for one in results)
    print(f"node: {rate:.0f} control steps per second of processor time, pictures of every tenth step and both cameras of every eighth included")
    page = work / "pinned.html"
    element = lambda name, file: f'<script type="text/plain" id="{name}">{(work / "pinned" / file).read_text()}</script>'
    page.write_text("<!doctype html><meta charset=utf-8><title>pinned</title><link rel=icon href='data:,'>"
                    + element("worker", "worker.js") + element("record", "record.json") + element("module", "module.txt"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for name, start in (("chromium", lambda: Chromium(program, profile)), ("firefox", lambda: Firefox(tempfile.mkdtemp(dir=profile)))):
            browser = start()
            try:
                browser.open(page.as_uri(), 1280, "light")
                check_pinned(name, browser.value(PINNED))
                for page_of_report in (report, one, perturbed):
                    play(name, browser, page_of_report, work)
                drive(name, browser, work / "playground.html", work)
            finally:
                browser.close()
    print(f"replayed in node, Chromium and Firefox without message or request; screenshots in {work}")


if __name__ == "__main__":
    main()
