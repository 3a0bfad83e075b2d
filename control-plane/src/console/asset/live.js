// Fetches the page anew every two seconds and puts its content in place. Rests while the page is
// not seen, or while something in it is being used: a field, a selection.
"use strict";

const PAUSE = 2000;
const main = document.getElementById("main");

function inUse() {
  const at = document.activeElement;
  const field = at && main.contains(at) && at.matches("input, select, button, textarea");
  const selection = document.getSelection();
  return Boolean(field) || Boolean(selection && selection.toString());
}

// Where the reader is: what is open, what is scrolled, what has the focus.
function kept(root) {
  return {
    open: [...root.querySelectorAll("details")].map((it) => it.open),
    scrolled: [...root.querySelectorAll(".scroll, pre")].map((it) => [it.scrollLeft, it.scrollTop]),
    focus: [...root.querySelectorAll("a, [tabindex], summary")].indexOf(document.activeElement),
  };
}

function restore(root, { open, scrolled, focus }) {
  root.querySelectorAll("details").forEach((it, at) => { it.open = open[at] ?? it.open; });
  root.querySelectorAll(".scroll, pre").forEach((it, at) => {
    [it.scrollLeft, it.scrollTop] = scrolled[at] ?? [0, 0];
  });
  if (focus >= 0) {
    root.querySelectorAll("a, [tabindex], summary")[focus]?.focus({ preventScroll: true });
  }
}

async function refresh() {
  const freshness = document.getElementById("freshness");
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected) {
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [next, footer] = [page.getElementById("main"), page.querySelector("footer")];
    if (!next || inUse()) return;
    if (next.innerHTML !== main.innerHTML) {
      const place = kept(main);
      main.replaceChildren(...next.childNodes);
      restore(main, place);
    }
    document.querySelector("footer").replaceChildren(...footer.childNodes);
  } catch {
    if (freshness) freshness.textContent = "The control plane does not answer; this page is old.";
  }
}

if (main && main.dataset.live === "yes") {
  setInterval(() => {
    if (document.visibilityState === "visible" && !inUse()) refresh();
  }, PAUSE);
}
