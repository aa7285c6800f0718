// Keyboard habits. Everything works without them: a key only follows a link or moves the
// focus. The open row is in the address, so that it survives a reload and can be sent.
"use strict";
(() => {
  const rows = () => [...document.querySelectorAll("main tbody tr")].filter((r) => r.querySelector("a[href]") && r.offsetParent);
  const places = { o: "/", c: "/cycles", b: "/breaks", i: "/invoices", u: "/accruals", a: "/accounts", t: "/contracts", v: "/coverage", d: "/adjustments", n: "/connections", e: "/events", s: "/snapshots", r: "/replays", l: "/audit" };
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

  // current is the row that the keys are at: the one that was selected, or the one in which
  // the focus is.
  function current() {
    const all = rows();
    const focused = document.activeElement && document.activeElement.closest("main tbody tr");
    return all[at] || (all.includes(focused) ? focused : null);
  }

  // mark selects a row for what can be done with several.
  function mark() {
    const box = current() && current().querySelector('input[name="pick"]');
    if (!box) return;
    box.checked = !box.checked;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }

  // to moves the focus into a field that a key stands for, opening what it is folded into.
  function to(key) {
    const field = document.querySelector('main [data-focus="' + CSS.escape(key) + '"]');
    if (!field) return false;
    const folded = field.closest("details");
    if (folded) folded.open = true;
    field.focus();
    if (field.select) field.select();
    field.scrollIntoView({ block: "center" });
    return true;
  }

  // back closes what is open: the keys, then what was folded out.
  function back() {
    const box = document.getElementById("keys");
    if (box && box.open) { box.close(); return; }
    const folded = [...document.querySelectorAll("main details[open]")].pop();
    if (folded) { folded.open = false; folded.querySelector("summary").focus({ preventScroll: true }); }
  }

  function help(show) {
    const box = document.getElementById("keys");
    if (!box) return;
    if (show && !box.open) box.showModal();
    else if (box.open) box.close();
  }

  // A Stripe ID that is pasted into a page leads to what it is here.
  const stripeID = /^(evt|cus|in|sub|ch|re|dp|du|pi|cn)_[A-Za-z0-9]+$/;
  function jump(text) {
    if (stripeID.test(text)) location.href = "/find?q=" + encodeURIComponent(text);
  }

  document.addEventListener("paste", (e) => {
    const text = (e.clipboardData.getData("text") || "").trim();
    const field = e.target.closest("input, textarea, select");
    if (!field) { jump(text); return; }
    if (field.type !== "search" || !stripeID.test(text)) return;
    e.preventDefault();
    field.value = text;
    field.form.requestSubmit();
  });

  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey) && current() && !e.target.closest("input, textarea, select")) {
      e.preventDefault();
      window.open(current().querySelector("a[href]").href, "_blank", "noopener");
      return;
    }
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
      case "o": { const r = current(); if (r) r.querySelector("a[href]").click(); break; }
      case "x": mark(); break;
      case "g": prefix = "g"; setTimeout(() => { prefix = ""; }, 1500); break;
      case "/": { const s = ['input[type="search"]', ".filters input:not([type=hidden])", ".filters select", ".ask input"].map((f) => document.querySelector("main " + f)).find(Boolean); if (!s) return; s.focus(); if (s.select) s.select(); break; }
      case "?": help(true); break;
      case "Escape": back(); break;
      default: if (link) link.click(); else if (!to(e.key)) return;
    }
    e.preventDefault();
  });

  if (location.hash.startsWith("#row-")) {
    const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (row) select(rows().indexOf(row));
  }
})();
