// Waits for what the server makes meanwhile, and reads a file into the field beside it. Without this script the page asks by itself,
// and a table is pasted.
"use strict";

(() => {
  const WAIT_MS = 1000;

  const wait = async () => {
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!fresh.querySelector("[data-wait]")) return location.reload();
      document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
    } catch (error) {
      // The board does not answer: it is asked again.
    }
    setTimeout(wait, WAIT_MS);
  };
  if (document.querySelector("[data-wait]")) setTimeout(wait, WAIT_MS);

  for (const chosen of document.querySelectorAll("input[type=file][data-into]")) {
    chosen.addEventListener("change", async () => {
      const [file] = chosen.files;
      if (file) document.getElementById(chosen.dataset.into).value = await file.text();
    });
    chosen.closest("[hidden]").hidden = false;
  }
})();
