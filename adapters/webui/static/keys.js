// Keyboard habits. Everything works without them: a key only follows a link or moves the
// focus. The open row is in the address, so that it survives a reload and can be sent.
"use strict";
(() => {
  const rows = () => [...document.querySelectorAll("main tbody tr")].filter((r) => r.querySelector("a[href]") && r.offsetParent);
  const places = { o: "/", c: "/cycles", i: "/invoices", u: "/accruals", a: "/accounts", n: "/connections", e: "/events", s: "/snapshots", r: "/replays", l: "/audit" };
  let at = -1;
  let prefix = "";

  function select(n) {
    const all = rows();
    if (!all.length) return;
    at = Math.max(0, Math.min(all.length - 1, n));
    all.forEach((r) => r.removeAttribute("data-at"));
    const row = all[at];
    row.setAttribute("data-at", "");
    row.querySelector("a[href]").focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
    if (row.id) history.replaceState(null, "", "#" + row.id);
  }

  function help(show) {
    const box = document.getElementById("keys");
    if (!box) return;
    if (show && !box.open) box.showModal();
    else if (box.open) box.close();
  }

  // A Stripe ID in a search leads to its events from any page.
  function jump(text) {
    if (/^(evt|cus|in|sub|ch|re|dp|pi)_[A-Za-z0-9]+$/.test(text)) location.href = "/events?q=" + encodeURIComponent(text);
  }

  document.addEventListener("paste", (e) => {
    if (e.target.closest("input, textarea, select")) return;
    jump((e.clipboardData.getData("text") || "").trim());
  });

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select, [contenteditable]")) {
      if (e.key === "Escape" && e.target.blur) e.target.blur();
      return;
    }
    if (prefix === "g") {
      prefix = "";
      if (places[e.key]) location.href = places[e.key];
      return;
    }
    const link = document.querySelector('main [data-key="' + CSS.escape(e.key) + '"]');
    switch (e.key) {
      case "j": select(at + 1); break;
      case "k": select(at - 1); break;
      case "o": { const r = rows()[at]; if (r) r.querySelector("a[href]").click(); break; }
      case "g": prefix = "g"; setTimeout(() => { prefix = ""; }, 1500); break;
      case "/": { const s = ['input[type="search"]', ".filters input:not([type=hidden])", ".filters select", ".ask input"].map((f) => document.querySelector("main " + f)).find(Boolean); if (!s) return; s.focus(); if (s.select) s.select(); break; }
      case "?": help(true); break;
      case "Escape": help(false); break;
      default: if (!link) return; link.click();
    }
    e.preventDefault();
  });

  if (location.hash.startsWith("#row-")) {
    const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (row) select(rows().indexOf(row));
  }
})();
