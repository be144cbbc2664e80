// Keeps an open page up to date: asks for the page again when the server says that something moved (/live), once a minute, and
// where nobody says it every five seconds; an unchanged page is a 304 of no bytes. Swaps only the parts that differ. Without this
// script the page reloads itself, and everything can be done all the same.
"use strict";

(() => {
  const EVERY_MS = 5000;
  const SELDOM = 12; // of these, while somebody tells
  const pulse = document.getElementById("pulse");
  let tag = null;
  let paused = false;
  let failed = 0;
  let source = null;
  let beats = 0;

  const say = (text, kind) => {
    if (words.textContent !== text) words.textContent = text;
    pulse.dataset.kind = kind;
  };

  const swap = (fresh) => {
    const focused = document.activeElement && document.activeElement.getAttribute("href");
    for (const old of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(old.id);
      if (next && (next.innerHTML !== old.innerHTML || next.className !== old.className)) {
        const inside = old.contains(document.activeElement);
        old.replaceWith(document.adoptNode(next));
        if (inside && focused) {
          const again = [...next.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === focused);
          if (again) again.focus({ preventScroll: true });
        }
      }
    }
    // A page that had nothing to show has other parts than one that has.
    if (!document.getElementById("series") && fresh.getElementById("series")) location.reload();
  };

  const look = async () => {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
      if (answer.redirected) return location.reload(); // the session has ended: the form to sign in comes
      if (answer.status === 200) {
        tag = answer.headers.get("etag");
        swap(new DOMParser().parseFromString(await answer.text(), "text/html"));
      } else if (answer.status !== 304) {
        throw new Error(`status ${answer.status}`);
      }
      failed = 0;
      say(pulse.dataset.on, "live");
    } catch (error) {
      failed += 1;
      if (failed > 1) say(pulse.dataset.lost, "lost");
      else say(pulse.dataset.on, "live");
    }
  };

  // j and k go down and up a list, Enter opens what is chosen, as links do. Letters that are being typed are left alone.
  const step = (event) => {
    const by = { j: 1, k: -1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const links = [...document.querySelectorAll("[data-keys] tbody th a")];
    if (!links.length) return;
    const now = links.indexOf(document.activeElement);
    links[now < 0 ? 0 : Math.min(Math.max(now + by, 0), links.length - 1)].focus();
    event.preventDefault();
  };
  document.addEventListener("keydown", step);

  if ("still" in document.body.dataset) return;
  // A hidden page does not listen: a browser opens only six connections to one server.
  const listen = () => {
    const wanted = !paused && !document.hidden && window.EventSource;
    if (!wanted && source) {
      source.close();
      source = null;
    } else if (wanted && (!source || source.readyState === EventSource.CLOSED)) {
      source = new EventSource("/live");
      source.addEventListener("moved", look);
    }
  };

  const beat = () => {
    beats += 1;
    const told = source && source.readyState === EventSource.OPEN;
    if (!told || beats % SELDOM === 0) look();
    if (!told && beats % SELDOM === 0) listen();
  };

  const words = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = pulse.dataset.pause;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? pulse.dataset.resume : pulse.dataset.pause;
    if (paused) say(pulse.dataset.paused, "paused");
    else look();
    listen();
  });
  pulse.append(words, button);
  say(pulse.dataset.on, "live");
  listen();
  setInterval(beat, EVERY_MS);
  document.addEventListener("visibilitychange", () => {
    listen();
    look();
  });
})();
