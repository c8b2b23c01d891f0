// Theme, filter, opening of tasks and sorting of columns. Without it the page shows everything.
"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  const theme = byId("theme");
  const themes = ["system", "light", "dark"];
  const stored = () => { try { return localStorage.getItem("bitvla-theme"); } catch { return null; } };
  const setTheme = (name) => {
    if (name === "system") delete root.dataset.theme; else root.dataset.theme = name;
    theme.textContent = "Theme: " + name;
    theme.dataset.name = name;
    try { localStorage.setItem("bitvla-theme", name); } catch { /* a file without storage */ }
  };
  setTheme(themes.includes(stored()) ? stored() : "system");
  theme.hidden = false;
  theme.addEventListener("click", () => setTheme(themes[(themes.indexOf(theme.dataset.name) + 1) % 3]));

  const tasks = byId("tasks");
  byId("controls").hidden = false;
  for (const radio of tasks.querySelectorAll("input[name=show]")) {
    radio.addEventListener("change", () => { tasks.dataset.show = radio.value; });
  }
  const all = (open) => () => { for (const task of tasks.querySelectorAll("details.task")) task.open = open; };
  byId("open").addEventListener("click", all(true));
  byId("close").addEventListener("click", all(false));

  const openTarget = () => {
    const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", openTarget);
  openTarget();

  const value = (row, column) => row.cells[column] ? row.cells[column].textContent.trim() : "";
  const compare = (a, b) => (a !== "" && b !== "" && !isNaN(a) && !isNaN(b)) ? a - b : a.localeCompare(b);
  for (const table of tasks.querySelectorAll("table.episodes")) {
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const down = header.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => (down ? -1 : 1) * compare(value(a, header.cellIndex), value(b, header.cellIndex)));
        table.tBodies[0].append(...rows);
      });
    }
  }
})();
