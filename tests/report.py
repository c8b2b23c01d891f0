#!/usr/bin/env python3
"""Opens reports of runs that it makes in headless Chromium, at 1280 and 390 pixels, light and dark.

    python3 tests/report.py [WORK_DIR]

Fails on any message of the console, any request, a page wider than the window, text that does not stand out from what is behind it
(contrast below 4.5), and where the filter, the sorting, the links to tasks, an animation or the page without JavaScript do not work.
Screenshots go to WORK_DIR. Needs Debian's chromium; installs it as root, and ends with code 77 where it cannot be had. Python's
standard library is enough: the browser is driven through the pipe of its DevTools protocol.
"""
import base64
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")


def chromium():
    """Path of the browser."""
    find = lambda: shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not find() and os.getuid() == 0 and shutil.which("apt-get"):
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"], **quiet)
    if not find():
        print("SKIPPED: the report was not looked at; it needs: apt-get install chromium")
        sys.exit(77)
    return find()


class Browser:
    """A page in a headless browser, driven by JSON messages that end with a zero byte on file descriptors 3 and 4."""

    def __init__(self, program, profile):
        down, up = os.pipe(), os.pipe()
        # One digit each, as sh wants, and neither 3 nor 4.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 5) for end in (down[0], up[1])]
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
                   "--remote-debugging-pipe", f"--user-data-dir={profile}", "--disable-background-networking", "about:blank"]
        self.process = subprocess.Popen(["sh", "-c", f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}', "sh", program, *options], pass_fds=ends,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (down[0], up[1], *ends):
            os.close(end)
        self.writer, self.reader = os.fdopen(down[1], "wb", 0), os.fdopen(up[0], "rb")
        self.number, self.rest, self.session, self.events = 0, b"", None, []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def receive(self):
        while b"\0" not in self.rest:
            more = self.reader.read1(1 << 20)
            assert more, "the browser has ended"
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.writer.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive())

    def open(self, address, width, scheme, script=True):
        self.events = []
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url="about:blank")
        self.wait("Page.loadEventFired")
        self.events = []
        self.call("Page.navigate", url=address)
        self.wait("Page.loadEventFired")

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, (expression, answer)
        return answer["result"].get("value")

    def screenshot(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = dict(x=0, y=0, width=size["width"], height=min(size["height"], 12000), scale=1)
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self, address):
        """Messages of the console, exceptions, and requests for anything but the page itself and images inside it."""
        found = []
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(json.dumps(params))
            if method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if url.split("#")[0] != address.split("#")[0] and not url.startswith("data:"):
                    found.append("request: " + url)
        return found

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(20)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self.process.kill()


# Elements with text of their own whose colour is too close to the nearest background behind them (WCAG 2, 1.4.3), and plots likewise.
CONTRAST = """(() => {
  const rgb = (color) => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const memo = new Map();
  const parse = (color) => { if (!memo.has(color)) memo.set(color, rgb(color)); return memo.get(color); };
  const over = (a, b) => a.slice(0, 3).map((v, i) => v * a[3] / 255 + b[i] * (1 - a[3] / 255)).concat(255);
  const behind = (element) => {
    if (!element) return [255, 255, 255, 255];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 255 ? own : over(own, behind(element.parentElement));
  };
  const light = (color) => {
    const [r, g, b] = color.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || !element.checkVisibility() || ['SCRIPT', 'STYLE'].includes(element.tagName)) continue;
    const svg = element instanceof SVGElement;
    const a = light(parse(svg ? getComputedStyle(element).fill : getComputedStyle(element).color)), b = light(behind(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < (svg ? 3 : 4.5)) found.push(element.tagName + '.' + element.className + ' ' + element.textContent.trim().slice(0, 40) + ' ' + ratio.toFixed(2));
  }
  return found.slice(0, 10);
})()"""


def look(browser, report, work):
    """Opens a report in both widths and schemes."""
    address = report.as_uri()
    for width in WIDTHS:
        for scheme in SCHEMES:
            browser.open(address, width, scheme)
            browser.screenshot(work / f"{report.stem}-{width}-{scheme}.png")
            assert not browser.complaints(address), browser.complaints(address)
            for state in ("as it opens", "with all tasks open"):
                wide = browser.value("document.documentElement.scrollWidth")
                assert wide <= width, f"{report.name}, {state}: {wide} pixels wide in a window of {width}"
                poor = browser.value(CONTRAST)
                assert not poor, f"{report.name}, {scheme}, {state}: {poor}"
                browser.value("document.getElementById('open').click()")
            background = browser.value("getComputedStyle(document.body).backgroundColor")
            bright = sum(int(part) for part in background[4:-1].split(",")) > 3 * 128
            assert bright == (scheme == "light"), (scheme, background)
    browser.screenshot(work / f"{report.stem}-open-390.png")


def use(browser, report, animated):
    """Theme, filter, sorting, links to tasks, the page without JavaScript; animations in the other report."""
    address = report.as_uri()
    browser.open(address, 1280, "light")
    background = "getComputedStyle(document.body).backgroundColor"
    before = browser.value(background)
    browser.value("document.getElementById('theme').click(); document.getElementById('theme').click()")
    assert browser.value(background) != before, "the theme does not change"
    browser.value("document.getElementById('theme').click()")
    shown = "[...document.querySelectorAll('.episodes tbody tr')].filter(row => row.checkVisibility()).length"
    browser.value("document.getElementById('open').click()")
    everything = browser.value(shown)
    browser.value("document.querySelector('input[value=f]').click()")
    failed = browser.value(shown)
    assert 0 < failed < everything, (failed, everything)
    browser.value("document.querySelector('input[value=all]').click()")
    states = "[...document.querySelector('.episodes').tBodies[0].rows].map(row => +row.cells[0].textContent)"
    first = "[...document.querySelectorAll('.episodes')].every(t => { const f = [...t.tBodies[0].rows].map(r => r.classList.contains('f')); return f.indexOf(false) < 0 || f.lastIndexOf(true) < f.indexOf(false); })"
    assert browser.value(first), "failed episodes do not come first"
    sort = "document.querySelector('.episodes thead button').click()"
    browser.value(sort)
    assert browser.value(states) == sorted(browser.value(states))
    browser.value(sort)
    assert browser.value(states) == sorted(browser.value(states), reverse=True)
    browser.value("document.getElementById('close').click()")
    assert not browser.complaints(address), browser.complaints(address)

    address = animated.as_uri()
    browser.open(address, 1280, "light")
    browser.value("document.querySelector('.matrix a').click()")
    opened = "new Promise(done => setTimeout(() => done(document.querySelectorAll('details.task[open]').length), 200))"
    assert browser.value(opened) == 1, "a link to a task does not open it"
    images = "document.querySelectorAll('.animation img').length"
    assert browser.value(images) > 0
    browser.value("document.getElementById('open').click(); document.querySelectorAll('.animation').forEach(a => { a.open = true; })")
    decoded = "Promise.all([...document.querySelectorAll('.animation img')].map(image => { image.loading = 'eager'; return image.decode().then(() => image.naturalWidth); }))"
    assert set(browser.value(decoded)) == {160}, browser.value(decoded)
    assert not browser.complaints(address), browser.complaints(address)

    browser.open(address, 390, "light", script=False)
    root = browser.call("DOM.getDocument", depth=0)["root"]["nodeId"]
    assert browser.call("DOM.querySelector", nodeId=root, selector="#controls[hidden]")["nodeId"], "controls without a function are shown"
    assert browser.call("DOM.querySelector", nodeId=root, selector=".episodes tbody tr")["nodeId"]


def main():
    work = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()).resolve()
    work.mkdir(parents=True, exist_ok=True)
    program = chromium()
    if os.environ.get("INSTALL_ONLY"):
        return
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "bitvla-eval"], cwd=REPOSITORY, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    evaluate = lambda *words: subprocess.run([target / "release" / "bitvla-eval", *map(str, words)], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Those of an earlier program would be refused.
    shutil.rmtree(work / "runs", ignore_errors=True)
    for policy in ("full", "ternary", "zero"):
        evaluate("--suite", "spatial", "--policy", policy, "--tasks", "0,6,9", "--episodes", "5", "--out", work / "runs" / policy)
    evaluate("--suite", "all", "--policy", "expert", "--tasks", "0,1", "--episodes", "2", "--out", work / "runs" / "expert")
    run = lambda name: work / "runs" / name
    baseline = work / "baseline.json"
    baseline.unlink(missing_ok=True)
    evaluate("check", run("ternary"), "--baseline", baseline, "--rebaseline", "--reason", "a test")
    reports = {
        "one": ["report", run("ternary"), "--baseline", baseline],
        "three": ["report", run("full"), run("ternary"), run("zero"), "--baseline", baseline, "--animations", "3"],
        "suites": ["report", run("expert"), "--animations", "1"],
    }
    for name, words in reports.items():
        evaluate(*words, "--out", work / f"{name}.html")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            for name in reports:
                look(browser, work / f"{name}.html", work)
            use(browser, work / "one.html", work / "three.html")
        finally:
            browser.close()
    print(f"{len(reports)} reports without message, request or overflow; screenshots in {work}")


if __name__ == "__main__":
    main()
