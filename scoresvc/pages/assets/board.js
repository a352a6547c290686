
"use strict";
// Times in the viewer's own words, and the board as it changes. Without this script the page says the same, once.
(() => {
  const PLACES_MARKED = 3;
  const RETRY = 10000; // milliseconds, after an answer that is no stream
  const UNITS = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const ago = new Intl.RelativeTimeFormat("en", { style: "narrow" });
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const main = document.querySelector("main");

  function describeAge(seconds) {
    const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? [];
    return unit ? ago.format(-Math.floor(seconds / length), unit) : "now";
  }

  function describeRest(seconds) {
    const minutes = Math.max(0, Math.ceil(seconds / 60));
    const days = Math.floor(minutes / 1440), hours = Math.floor(minutes / 60) % 24;
    return days ? `${days} d ${hours} h` : hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
  }

  function showTimes() {
    for (const each of main.querySelectorAll("time")) {
      const moment = new Date(each.dateTime);
      const seconds = (moment - Date.now()) / 1000;
      each.title = moment.toLocaleString();
      each.textContent = each.className === "end" ? `in ${describeRest(seconds)}` : describeAge(-seconds);
    }
  }

  const rowsByUser = () => new Map([...main.querySelectorAll("tr[data-user]")].map((row) => [row.dataset.user, row]));

  function move(before) {
    for (const [user, row] of rowsByUser()) {
      const old = before.get(user);
      if (!old) {
        row.animate([{ opacity: 0 }, { opacity: 1 }], 600);
      } else {
        const distance = old.top - row.getBoundingClientRect().top;
        if (distance) row.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], { duration: 500, easing: "ease" });
        if (old.score !== row.querySelector(".score").textContent) {
          for (const cell of row.cells) cell.animate([{ backgroundColor: "var(--flash)" }, {}], 1500);
        }
      }
    }
  }

  function remember() {
    return new Map([...rowsByUser()].map(([user, row]) => [
      user, { top: row.getBoundingClientRect().top, score: row.querySelector(".score").textContent },
    ]));
  }

  // Makes a row for an entry from any row that there is: the server alone knows how one is built.
  function fill(row, entry) {
    const isOwn = String(entry.user) === new URLSearchParams(location.search).get("user");
    row.dataset.user = entry.user;
    row.className = [entry.rank <= PLACES_MARKED ? `place-${entry.rank}` : "", isOwn ? "own" : ""].join(" ");
    row.querySelector(".rank span").textContent = entry.rank;
    row.querySelector(".player bdi").textContent = entry.name ?? `Player ${entry.user}`;
    row.querySelector(".score bdi").textContent = entry.text ?? entry.score;
    row.querySelector("time").dateTime = entry.reached_at;
    return row;
  }

  // Shows a board where the page has all that it takes; returns whether it has.
  function showRows(board) {
    const bodies = main.querySelectorAll("tbody");
    const parts = board.around?.length ? [board.entries, board.around] : [board.entries];
    const rows = rowsByUser();
    const [model] = [...rows.values()].filter((row) => !row.classList.contains("own"));
    if (!model || !board.entries.length || board.period !== main.dataset.period || parts.length !== bodies.length) return false;
    const own = new URLSearchParams(location.search).get("user");
    if (own && !rows.has(own) && parts.flat().some((entry) => String(entry.user) === own)) return false;
    parts.forEach((entries, place) => {
      bodies[place].replaceChildren(...entries.map((entry) => fill(rows.get(String(entry.user)) ?? model.cloneNode(true), entry)));
    });
    main.querySelector("[data-part=players]").textContent = `${board.players} ${board.players === 1 ? "player" : "players"}`;
    return true;
  }

  function replace(fresh) {
    for (const part of main.querySelectorAll("[data-part]")) {
      part.replaceChildren(...fresh.querySelector(`[data-part=${part.dataset.part}]`).childNodes);
    }
    main.dataset.period = fresh.dataset.period;
  }

  async function update(board, version) {
    const before = remember();
    if (!showRows(board)) replace(await fetchPage());
    main.dataset.version = version;
    showTimes();
    if (!calm.matches) move(before);
  }

  async function fetchPage() {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(response.status);
    return new DOMParser().parseFromString(await response.text(), "text/html").querySelector("main");
  }

  let source, retry;

  function watch() {
    const query = new URLSearchParams(location.search);
    for (const name of ["theme", "title", "live"]) query.delete(name);
    source = new EventSource(`${location.pathname.replace(/[^/]*\/?$/, "events")}?${query}`);
    source.onopen = () => { main.dataset.live = ""; };
    source.onmessage = (event) => {
      if (event.lastEventId !== main.dataset.version) update(JSON.parse(event.data), event.lastEventId).catch(lose);
    };
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) lose(); };
  }

  function lose() {
    main.dataset.live = "lost";
    stop();
    retry = setTimeout(watch, RETRY * (1 + Math.random()));
  }

  function stop() {
    clearTimeout(retry);
    source?.close();
  }

  showTimes();
  setInterval(showTimes, 20000);
  if ("live" in main.dataset) {
    watch();
    document.addEventListener("visibilitychange", () => {
      stop();
      if (!document.hidden) watch();
    });
  }
})();
