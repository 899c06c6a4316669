"use strict";
// Keys, the large view, flags that follow the slider, and chunks that load when they come near. The rest is HTMX.
(() => {
  const root = document.documentElement;
  const find = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const zoom = find("#zoom"), help = find("#help"), slider = find("#step"), opacity = find("#opacity");
  document.addEventListener("DOMContentLoaded", () => { document.body.inert = false; });  // until HTMX listens, no click is lost
  const kept = { get: (k) => { try { return localStorage.getItem(k); } catch { return null; } }, set: (k, v) => { try { localStorage.setItem(k, v); } catch { /* private mode */ } } };

  // Chunks of images load when they have been near for a moment; those passed in a fast scroll are not asked for.
  const waiting = new Map();
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      clearTimeout(waiting.get(target));
      if (isIntersecting) waiting.set(target, setTimeout(() => { near.unobserve(target); htmx.trigger(target, "near"); }, 60));
    }
  }, { rootMargin: "1200px 0px" });
  let wanted = null;  // the end of a chunk that gets the focus when it comes

  function pictures() { return all(".chunks .item .picture"); }

  function focusOn(picture) {
    if (!picture) return;
    picture.focus({ preventScroll: true });
    picture.closest(".item").scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    const here = document.activeElement.closest?.(".item");
    if (!here) return focusOn(pictures().find((each) => each.getBoundingClientRect().bottom > 80) ?? pictures()[0]);
    const sibling = by > 0 ? here.nextElementSibling : here.previousElementSibling;
    if (sibling) return focusOn(find(".picture", sibling));
    const chunk = by > 0 ? here.closest(".chunk").nextElementSibling : here.closest(".chunk").previousElementSibling;
    if (!chunk) return;
    if (chunk.matches(".ahead")) {
      wanted = by > 0 ? "first" : "last";
      near.unobserve(chunk);
      htmx.trigger(chunk, "near");
    } else focusOn(by > 0 ? find(".picture", chunk) : all(".picture", chunk).at(-1));
  }

  // Flags follow the slider at once; the words come from the server.
  function level() { return Number(slider.dataset.levels.split(" ")[slider.value]); }

  function flag(within) {
    if (!slider) return;
    const now = level();
    for (const each of all("[data-level].item, [data-level].large", within)) each.classList.toggle("is-flagged", Number(each.dataset.level) <= now);
  }

  let asked = null;  // the step whose words are on their way
  function words() {
    if (asked === null && find("#words").dataset.level !== String(level())) { asked = slider.value; htmx.trigger(slider, "words"); }
  }
  slider?.addEventListener("input", () => { flag(document); words(); });
  slider?.addEventListener("htmx:afterRequest", (event) => { asked = null; if (event.detail.successful) words(); });
  slider?.addEventListener("change", () => {
    find("#level").value = level();
    const chosen = find('input[name="show"]:checked').value, order = find("#sort").value;
    if (chosen === "flagged" || order === "threshold") htmx.trigger("#view", "submit");
  });

  // The map over the images.
  function cover(value) {
    opacity.value = value;
    root.style.setProperty("--map", value / 100);
    root.classList.toggle("no-map", Number(value) === 0);
    find('[data-zoom="map"]')?.setAttribute("aria-pressed", Number(value) > 0);
  }
  function toggleMap() {
    const now = Number(opacity.value);
    if (now) kept.set("feint-map-before", now);
    cover(now ? 0 : kept.get("feint-map-before") ?? 50);
    kept.set("feint-map", opacity.value);
  }
  if (opacity) {
    cover(kept.get("feint-map") ?? 50);
    opacity.addEventListener("input", () => { cover(opacity.value); kept.set("feint-map", opacity.value); });
  }

  // The large view: scale and place of the canvas.
  const at = { scale: 1, x: 0, y: 0 }, fingers = new Map();
  function place() {
    const canvas = find("#canvas");
    if (!canvas) return;
    const { width, height } = canvas.parentElement.getBoundingClientRect();
    at.x = Math.min(width * 0.5, Math.max(width * 0.5 - width * at.scale, at.x));
    at.y = Math.min(height * 0.5, Math.max(height * 0.5 - height * at.scale, at.y));
    if (at.scale === 1) at.x = at.y = 0;
    canvas.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.scale})`;
    find(".image", canvas)?.classList.toggle("close", at.scale > 4);
  }
  function enlarge(factor, x, y) {
    const box = find("#stage").getBoundingClientRect();
    const cx = (x ?? box.left + box.width / 2) - box.left - 16, cy = (y ?? box.top + box.height / 2) - box.top - 16;
    const scale = Math.min(32, Math.max(1, at.scale * factor)), ratio = scale / at.scale;
    Object.assign(at, { scale, x: cx - (cx - at.x) * ratio, y: cy - (cy - at.y) * ratio });
    place();
  }
  function fit() { Object.assign(at, { scale: 1, x: 0, y: 0 }); place(); }
  function move(x, y) { at.x += x; at.y += y; place(); }

  zoom?.addEventListener("wheel", (event) => {
    if (!event.target.closest("#stage")) return;
    event.preventDefault();
    enlarge(Math.exp(-event.deltaY / 400), event.clientX, event.clientY);
  }, { passive: false });
  zoom?.addEventListener("pointerdown", (event) => {
    const stage = event.target.closest("#stage");
    if (!stage) return;
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("moving");
    fingers.set(event.pointerId, event);
  });
  zoom?.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const other = [...fingers.values()].find((each) => each.pointerId !== event.pointerId);
    if (other) {
      const gap = (each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY);
      enlarge(gap(event) / Math.max(1, gap(before)), (event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2);
    } else move(event.clientX - before.clientX, event.clientY - before.clientY);
    fingers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) zoom?.addEventListener(end, (event) => {
    fingers.delete(event.pointerId);
    if (!fingers.size) find("#stage")?.classList.remove("moving");
  });
  zoom?.addEventListener("dblclick", (event) => { if (event.target.closest("#stage")) at.scale > 1 ? fit() : enlarge(3, event.clientX, event.clientY); });
  zoom?.addEventListener("close", () => {
    const row = find("#large")?.dataset.row;
    document.body.append(...all("[role=alert]", zoom));
    find("#zoom-body").replaceChildren();
    focusOn(row && find(`#p${row}`));
  });

  // Marks and undos reach the server one by one, in order, even when the button they came from is gone by then. Where
  // one is lost, those behind it are not sent, and whoever went on meanwhile is brought back to its image.
  const sending = [];
  async function post(address, back) {
    if (sending.push({ address, back }) > 1) return;
    while (sending.length) {
      await htmx.ajax("POST", sending[0].address, { swap: "none" }).catch(() => { /* the page has said so */ });
      sending.shift();
    }
  }
  function wayBack(button) {
    const place = button.closest(".item, #large");
    return () => {
      wanted = null;
      if (!zoom?.open) return focusOn(place && find(`#p${place.dataset.row}`));
      if (!place?.dataset.address) return;
      for (const each of all("#previous, #next")) htmx.trigger(each, "htmx:abort");
      htmx.ajax("GET", place.dataset.address, { source: "#zoom-body", target: "#zoom-body", swap: "innerHTML" });
    };
  }

  // What failed is said in the large view where that is open: whatever is outside is neither seen nor read out then.
  let failing = null;  // the verb of what failed; the sentence goes when the same works again
  function tell(status, verb) {
    if (status === 401 || status === 403) return location.reload();
    const sentence = find(status ? "#refused" : "#offline");
    (zoom?.open ? zoom : document.body).append(sentence);
    sentence.hidden = false;
    failing = verb;
  }

  // Marking by key goes on to the next image.
  function mark(label) {
    const scope = zoom.open ? find("#large") : document.activeElement.closest?.(".item");
    const button = scope && find(`.say.${label}`, scope);
    if (!button) return;
    const next = zoom.open ? find("#next") : null;
    if (button.getAttribute("aria-pressed") !== "true") button.click();
    if (!zoom.open) step(1);
    else if (!next.disabled) next.click();
  }

  const keys = {
    j: () => step(1), ArrowRight: () => step(1), ArrowDown: () => down(1), k: () => step(-1), ArrowLeft: () => step(-1), ArrowUp: () => down(-1),
    a: () => mark("anomalous"), n: () => mark("normal"), u: () => find("#undo").click(), m: toggleMap, "?": () => help.showModal(),
  };
  const inZoom = {
    j: () => find("#next").click(), k: () => find("#previous").click(), "+": () => enlarge(1.5), "=": () => enlarge(1.5), "-": () => enlarge(1 / 1.5), "0": fit,
    ArrowRight: (e) => e.shiftKey ? move(-60, 0) : find("#next").click(), ArrowLeft: (e) => e.shiftKey ? move(60, 0) : find("#previous").click(),
    ArrowDown: (e) => e.shiftKey ? move(0, -60) : find("#next").click(), ArrowUp: (e) => e.shiftKey ? move(0, 60) : find("#previous").click(),
  };

  function down(by) {  // one row of the grid
    const here = document.activeElement.closest?.(".item");
    const columns = here ? getComputedStyle(here.parentElement).gridTemplateColumns.split(" ").length : 1;
    const among = pictures(), i = here ? among.indexOf(find(".picture", here)) : -1;
    const to = among[i + by * columns];
    if (i < 0 || !to) return step(by);
    focusOn(to);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !zoom || help.open) return;
    if (event.target.matches("input:not([type=radio]), select, textarea")) return;
    const plain = event.key.startsWith("Arrow") && !zoom.open && event.target.matches("input, summary");
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = plain ? null : (zoom.open && inZoom[key]) || keys[key];
    if (!act) return;
    event.preventDefault();
    act(event);
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.id === "ask") help.showModal();
    if (button.dataset.step !== undefined) { slider.value = button.dataset.step; slider.dispatchEvent(new Event("input", { bubbles: true })); slider.dispatchEvent(new Event("change", { bubbles: true })); slider.focus(); }
    if (button.dataset.post) post(button.dataset.post, wayBack(button));
    if (button.dataset.copy) copy(find(`#${button.dataset.copy}`), button);
    const act = { close: () => zoom.close(), in: () => enlarge(1.5), out: () => enlarge(1 / 1.5), fit, map: toggleMap }[button.dataset.zoom];
    act?.();
  });

  async function copy(from, button) {
    try {
      await navigator.clipboard.writeText(from.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(from);
      button.textContent = "Selected: copy it with Ctrl-C";
    }
  }

  // An image that cannot be shown says why.
  document.addEventListener("error", async (event) => {
    const image = event.target;
    if (!image.matches?.("img.image, img.map")) return;
    if (image.matches(".map")) return image.remove();
    const reason = document.createElement("span");
    reason.className = "no-picture";
    try {
      const answer = await fetch(image.src);
      reason.textContent = answer.status === 422 ? await answer.text() : "";
    } catch { /* the program has stopped: the sentence below says so */ }
    image.replaceWith(reason);
  }, true);
  document.addEventListener("load", (event) => {
    const image = event.target;
    if (image.matches?.("img.image")) image.classList.toggle("small", Math.max(image.naturalWidth, image.naturalHeight) <= 96);
  }, true);

  document.addEventListener("htmx:load", (event) => {
    const added = event.target;
    for (const each of all(".chunk.ahead")) { each.style.setProperty("--cards", each.dataset.cards); near.observe(each); }
    flag(added.parentElement ?? document);
    if (added.matches?.(".chunk") && wanted) {
      focusOn(wanted === "first" ? find(".picture", added) : all(".picture", added).at(-1));
      wanted = null;
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    find("#offline").hidden = true;
    if (event.detail.target.id === "zoom-body") {
      if (!zoom.open) zoom.showModal();
      fit();
      flag(zoom);
      cover(opacity.value);
      find("#stage").focus();
    }
    if (event.detail.target.id === "words") slider.setAttribute("aria-valuetext", find("#words .rejected").textContent);
  });
  const turns = new Map();  // the answer to the question asked last is the one that counts
  async function show(id, address) {
    const turn = (turns.get(id) ?? 0) + 1;
    turns.set(id, turn);
    try {
      const answer = await fetch(address);
      const text = await answer.text();
      if (!answer.ok) tell(answer.status, "get");
      else if (turns.get(id) === turn && find(`#${id}`)) htmx.swap(find(`#${id}`), text, { swapStyle: "outerHTML" }, { eventInfo: { target: find(`#${id}`) } });
    } catch { tell(0, "get"); }
  }
  document.addEventListener("marked", (event) => {  // wherever else the image is shown
    const { row } = event.detail;
    if (row === null || row === undefined) return;
    for (const [of, id] of [["card", `c${row}`], ["zoom", `z${row}`]]) if (find(`#${id}`)) show(id, `/verdict/${row}?of=${of}`);
    if (!zoom?.open && document.activeElement === find("#undo")) find(`#p${row}`)?.closest(".item").scrollIntoView({ block: "nearest" });
  });
  for (const failed of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(failed, ({ detail }) => {
    const lost = detail.elt === document.body ? sending.splice(0) : [];
    tell(detail.xhr.status, detail.requestConfig.verb);
    lost[0]?.back();
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful && detail.requestConfig.verb === failing) find("#refused").hidden = true;
  });

  if (slider) {
    slider.setAttribute("aria-valuetext", find("#words .rejected").textContent);
    if (matchMedia("(max-width: 60rem)").matches) for (const each of all(".panel")) each.open = false;
    const bar = find(".bar");
    new ResizeObserver(() => root.style.setProperty("--bar", getComputedStyle(bar).position === "sticky" ? `${bar.offsetHeight}px` : "0px")).observe(bar);
  }
})();
