
"use strict";
// The page of operators: it shows answers of the service as text, and asks once before each action.
(() => {
  const TOKEN = "scoresvc-token"; // its place in sessionStorage
  const PAGE = 50; // entries of a board, posts, actions
  const BASE = location.pathname.replace(/\/admin\/?$/, "");
  const UNDOABLE = ["submissions", "ban", "name", "settings"]; // what an action has changed that can be undone
  const $ = (selector, within = document) => within.querySelector(selector);

  class Refused extends Error {
    constructor(status, message) {
      super(message);
      this.status = status;
    }
  }

  // The service

  async function ask(method, path, fields) {
    const headers = { Accept: "application/json", Authorization: `Bearer ${sessionStorage.getItem(TOKEN)}` };
    const body = fields && new URLSearchParams(fields);
    const response = await fetch(BASE + path, { method, headers, body, cache: "no-store" }).catch(() => {
      throw new Refused(0, "the service does not answer");
    });
    const text = await response.text();
    if (response.ok) return response.headers.get("Content-Type")?.startsWith("application/json") ? JSON.parse(text) : text;
    let message = text;
    try {
      message = JSON.parse(text).error.message;
    } catch { /* a proxy said it */ }
    throw new Refused(response.status, message || `the answer was ${response.status}`);
  }

  const query = (fields) => "?" + new URLSearchParams(Object.entries(fields).filter(([, value]) => value));

  // What is seen

  function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  function say(text, isWrong, ...more) {
    const message = make("p", {}, text, ...more);
    message.setAttribute("role", isWrong ? "alert" : "status");
    $("#messages").replaceChildren(message);
  }

  async function attempt(work) {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 401) signOut();
      say(error.message, true);
    }
  }

  const button = (text, work, label) => {
    const made = make("button", { type: "button", onclick: () => attempt(work) }, text);
    if (label) made.setAttribute("aria-label", label);
    return made;
  };
  const userLink = (user) => make("a", { href: `#users/${user}` }, String(user));
  const time = (text) => make("time", { dateTime: text, title: text }, text ? new Date(text).toLocaleString() : "");

  function table(caption, heads, rows, empty = "None.") {
    if (!rows.length) return make("p", { className: "quiet" }, `${caption}: ${empty.toLowerCase()}`);
    const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
    const body = rows.map((cells) => make("tr", {}, ...cells.map((cell) =>
      Array.isArray(cell) ? make("td", { className: "buttons" }, ...cell) : make("td", {}, cell ?? ""))));
    return make("table", {}, make("caption", { className: "quiet" }, caption), make("thead", {}, head), make("tbody", {}, ...body));
  }

  function more(next, load) {
    return next ? button("More", () => load(next)) : null;
  }

  // Questions and actions

  let asked = Promise.resolve(); // the question before: its dialog may be closed, but not have said so yet

  // Asks once; the answers are those of the fields, null where the operator has cancelled.
  async function question(text, verb, fields = []) {
    await asked;
    const dialog = $("#question");
    $("#asked").textContent = text;
    $("#do").textContent = verb;
    $("#answers").replaceChildren(...fields.map(({ label, ...properties }) =>
      make("label", {}, label, make("input", properties))));
    dialog.returnValue = "";
    dialog.showModal();
    asked = new Promise((resolve) => {
      dialog.onclose = () => {
        const inputs = [...$("#answers").querySelectorAll("input")];
        const answers = inputs.map((input) => [input.name, input.type === "checkbox" ? (input.checked ? "yes" : "") : input.value]);
        resolve(dialog.returnValue === "do" ? Object.fromEntries(answers.filter(([, value]) => value)) : null);
      };
    });
    return asked;
  }

  async function act({ text, verb, fields, method = "POST", path, send = {} }) {
    const answers = await question(text, verb, fields);
    if (!answers) return;
    $("#messages").replaceChildren();
    const record = await ask(method, path, { ...send, ...answers });
    await show();
    if (!record) say("Nothing to do: it is so already.");
    else if (!isUndoable(record)) say(`Done, as action ${record.id}. It cannot be undone.`);
    else say(`Done, as action ${record.id}.`, false, button("Undo", () => undo(record)));
  }

  const isUndoable = (record) => UNDOABLE.some((part) => part in record.after);
  const undo = (record) => act({
    text: `Undo action ${record.id} (${describe(record)})? What it changed is again as it was before.`,
    verb: "Undo",
    path: `/admin/actions/${record.id}/undo`,
  });

  function describe({ kind, level, user, submission, undoes }) {
    const parts = [kind.replaceAll("_", " ")];
    for (const [name, number] of Object.entries({ level, user, submission, "of action": undoes })) {
      if (number !== null && number !== undefined) parts.push(`${name} ${number}`);
    }
    return parts.join(", ");
  }

  const removeScore = (level, user, period = "all") => act({
    text: `Remove the score of user ${user} on level ${level}${period === "all" ? "" : `, ${period}`}? The user's next best post stands instead, in every period.`,
    verb: "Remove",
    method: "DELETE",
    path: `/admin/levels/${level}/scores/${user}${query({ period })}`,
  });
  const ban = (user) => act({
    text: `Ban user ${user}? The user's entries leave all boards until the ban ends; logins and posts are refused.`,
    verb: "Ban",
    path: `/admin/users/${user}/ban`,
    fields: [
      { label: "Reason, for the log of actions", name: "reason", maxLength: 256 },
      { label: "Ends at, in UTC; empty: never", name: "until", placeholder: "2026-12-31T23:59:59Z" },
      { label: "The player shall not notice", name: "hide", type: "checkbox" },
    ],
  });
  const unban = (user) => act({
    text: `End the ban of user ${user}? The entries come back to all boards.`, verb: "End the ban", method: "DELETE", path: `/admin/users/${user}/ban`,
  });
  const rename = (user, name) => act({
    text: `Give user ${user} another name? Players see it on all boards.`, verb: "Rename", method: "PUT", path: `/admin/users/${user}/name`,
    fields: [{ label: "Name", name: "name", value: name ?? "", maxLength: 24, required: true }],
  });
  const deleteName = (user) => act({
    text: `Take the name of user ${user} away? Boards show the number instead.`, verb: "Take away", method: "DELETE", path: `/admin/users/${user}/name`,
  });
  const endSecret = (user) => act({
    text: `Take the secret of user ${user} away? The user's sessions end, and whoever claims the number next has it. This cannot be undone.`,
    verb: "Take away", method: "DELETE", path: `/admin/users/${user}/secret`,
  });
  const erase = (user) => act({
    text: `Erase user ${user}: scores, posts, name, sessions, all that is stored? This cannot be undone.`,
    verb: "Erase for ever", method: "DELETE", path: `/admin/users/${user}`,
  });

  const POSTS = { // what may be done with a post, by its state
    stands: [["remove", "Remove", "It no longer counts, in any period."]],
    held: [["approve", "Approve", "It counts from now on."], ["remove", "Remove", "It will not count."]],
    removed: [["restore", "Restore", "It counts again."]],
  };

  const postButtons = (post) => POSTS[post.state].map(([word, verb, effect]) => button(verb, () => act({
    text: `${verb} the post of ${post.score} by user ${post.user} to level ${post.level}? ${effect}`,
    verb,
    path: `/admin/submissions/${post.id}/${word}`,
  }), `${verb} post ${post.id}`));

  const postTable = (caption, posts) => table(caption, ["Post", "Level", "User", "Score", "Posted", "State", "Sent with it", "Change"],
    posts.map((post) => [post.id, post.level, userLink(post.user), post.score, time(post.posted_at), post.state, post.meta, postButtons(post)]));

  // The views

  const found = (view, ...children) => $(`#${view} .found`).replaceChildren(...children.filter(Boolean));

  const views = {
    async boards() {
      const { level, period, show: state } = Object.fromEntries(new FormData($("#boards form")));
      if (!level) return;
      const load = async (after) => {
        if (state !== "board") {
          const page = await ask("GET", `/admin/levels/${level}/submissions${query({ state, limit: PAGE, after })}`);
          found("boards", postTable(`Posts to level ${level}, newest first`, page.submissions), more(page.next, load));
          return;
        }
        const board = await ask("GET", `/${level}/highscorelist${query({ period, limit: PAGE, after })}`);
        found("boards", table(`Level ${level}, ${board.period}, ${board.players} players`, ["Rank", "User", "Name", "Score", "Reached", "Change"],
          board.entries.map((entry) => [entry.rank, userLink(entry.user), entry.name, entry.text ?? entry.score, time(entry.reached_at), [
            button("Remove", () => removeScore(level, entry.user, board.period), `Remove the score of user ${entry.user}`),
            button("Ban", () => ban(entry.user), `Ban user ${entry.user}`),
            button("Rename", () => rename(entry.user, entry.name), `Rename user ${entry.user}`),
          ]]), "No scores."), more(board.next, load));
      };
      await load();
    },

    async users(number) {
      const { by, text } = Object.fromEntries(new FormData($("#users form")));
      if (number) return showUser(number);
      if (!text) return found("users");
      if (by === "number") return open("users", text);
      const { users } = await ask("GET", `/admin/users${query({ [by]: text })}`);
      found("users", table("Users", ["User", "Name", "Name on your own server"], users.map((user) => [userLink(user.user), user.name, user.external]), "Nobody."));
    },

    async held() {
      const { submissions } = await ask("GET", `/admin/held${query({ limit: PAGE })}`);
      found("held", postTable("Posts that wait", submissions));
    },

    async settings() {
      const { level } = Object.fromEntries(new FormData($("#level")));
      if (!level) return;
      settings = await ask("GET", `/admin/levels/${level}`);
      for (const [name, value] of Object.entries(settings)) $(`#set-${name}`).value = write(value);
      $("#fields").hidden = false; // not before: what is typed meanwhile would be overwritten
    },

    async actions() {
      const load = async (after) => {
        const page = await ask("GET", `/admin/actions${query({ limit: PAGE, after })}`);
        found("actions", table("Actions", ["Action", "When", "Who", "What", "Before", "After", "Change"], page.actions.map((record) => [
          record.id, time(record.at), record.actor, describe(record), make("code", {}, JSON.stringify(record.before)),
          make("code", {}, JSON.stringify(record.after)), !isUndoable(record) ? "" : [button("Undo", () => undo(record), `Undo action ${record.id}`)],
        ])), more(page.next, load));
      };
      await load();
    },

    async health() {
      const status = await ask("GET", "/ready").catch((error) => ({ status: error.message }));
      const seconds = status.uptime ?? 0;
      const facts = [
        ["Status", status.status], ["Version", status.version], ["Engine", status.engine], ["Tables", status.schema],
        ["Up for", `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`],
        ["Oldest write that waits", `${status.oldest_write_ms ?? "?"} ms`], ["Last backup", status.last_backup_at ?? "none is known"],
      ];
      const list = (pairs) => make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value ?? ""))]));
      found("health", list(facts));
      const metrics = readMetrics(await ask("GET", "/metrics"));
      const refused = [...metrics].filter(([name]) => name.includes('status="429"'));
      found("health", list(facts), make("h3", {}, "What the limits did"), list([
        ["Refused by a limit", metrics.get("scoresvc_limited_total") ?? 0],
        ...refused.map(([name, count]) => [/call="([^"]*)"/.exec(name)[1], count]),
      ]), make("h3", {}, "Since the start"), list([
        ...["accepted", "refused", "failed"].map((result) => [`Posts ${result}`, metrics.get(`scoresvc_posts_total{result="${result}"}`) ?? 0]),
        ["Commits", metrics.get("scoresvc_commits_total")], ["Sessions now", metrics.get("scoresvc_sessions")],
        ["Players", metrics.get("scoresvc_players")], ["Bytes of the database", metrics.get("scoresvc_database_bytes")],
      ]));
    },
  };

  const readMetrics = (text) => new Map(text.split("\n").filter((line) => line && !line.startsWith("#"))
    .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));

  async function showUser(number) {
    const record = await ask("GET", `/admin/users/${number}`);
    const facts = [
      ["Name", record.name ?? "none"], ["Name on your own server", record.external ?? "none"],
      ["Secret", record.claimed ? "has one" : "none: anyone may log in"], ["Sessions", record.sessions],
      ["Ban", record.ban ? `${record.ban.reason || "without a reason"}, ${record.ban.until ? `until ${record.ban.until}` : "for ever"}${record.ban.hide ? ", hidden" : ""}` : "none"],
    ];
    found("users", make("h3", {}, `User ${number}`),
      make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))])),
      make("p", { className: "buttons" },
        record.ban ? button("End the ban", () => unban(number)) : button("Ban", () => ban(number)),
        button("Rename", () => rename(number, record.name)),
        record.name ? button("Take the name away", () => deleteName(number)) : null,
        record.claimed ? button("Take the secret away", () => endSecret(number)) : null,
        button("Erase", () => erase(number))),
      table("Scores", ["Level", "Period", "Score", "Reached", "Change"], record.scores.map((score) => [
        score.level, score.period, score.score, time(score.reached_at),
        [button("Remove", () => removeScore(score.level, number, score.period), `Remove the score on level ${score.level}, ${score.period}`)],
      ])), postTable("Posts, newest first", record.submissions.slice(-PAGE * 4).reverse()));
  }

  // Settings

  let settings = {};
  const write = (value) => Array.isArray(value) ? value.join(",") : value === true ? "yes" : value === false ? "no" : String(value ?? "");

  function changeSettings() {
    const { level } = Object.fromEntries(new FormData($("#level")));
    const changed = [...new FormData($("#fields"))].filter(([name, value]) => value !== write(settings[name]));
    if (!changed.length) return say("Nothing is changed.");
    const lines = changed.map(([name, value]) => `${name}: ${write(settings[name]) || "nothing"} → ${value || "the default"}`);
    return act({
      text: `Set for level ${level}: ${lines.join("; ")}?`, verb: "Save", method: "PUT", path: `/admin/levels/${level}`,
      send: { ...Object.fromEntries(changed), ...($("#rebuild").checked ? { rebuild: "yes" } : {}) },
    });
  }

  const ofLevel = (text, verb, method, suffix = "") => () => {
    const { level } = Object.fromEntries(new FormData($("#level")));
    const send = method === "DELETE" && $("#rebuild").checked ? { rebuild: "yes" } : {};
    return act({ text: text.replace("LEVEL", `level ${level}`), verb, method, path: `/admin/levels/${level}${suffix}`, send });
  };

  // Which view

  const open = (view, rest) => { location.hash = rest ? `${view}/${encodeURIComponent(rest)}` : view; };

  async function show() {
    const [name, rest] = location.hash.slice(1).split("/");
    const view = name in views ? name : "boards";
    for (const section of document.querySelectorAll("#desk section")) section.hidden = section.id !== view;
    for (const link of document.querySelectorAll("nav a")) {
      if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    await attempt(() => views[view](rest && decodeURIComponent(rest)));
  }

  async function signIn() {
    await ask("GET", "/admin/actions?limit=1").catch((error) => { if (error.status !== 403) throw error; });
    $("#sign-in").hidden = true;
    $("#desk").hidden = false;
    $("#messages").replaceChildren();
    await show();
  }

  function signOut() {
    sessionStorage.removeItem(TOKEN);
    $("#desk").hidden = true;
    $("#sign-in").hidden = false;
    $("#sign-in input").value = "";
    $("#sign-in input").focus();
  }

  function onSubmit(form, work) {
    $(form).addEventListener("submit", (event) => {
      event.preventDefault();
      attempt(work);
    });
  }

  onSubmit("#sign-in", () => {
    sessionStorage.setItem(TOKEN, $("#sign-in input").value.trim());
    return signIn();
  });
  onSubmit("#boards form", views.boards);
  onSubmit("#users form", () => location.hash === "#users" ? views.users() : open("users"));
  onSubmit("#level", views.settings);
  onSubmit("#fields", changeSettings);
  $("#reset").addEventListener("click", () => attempt(ofLevel("Take all settings of LEVEL back to their defaults?", "Reset", "DELETE")));
  $("#clear").addEventListener("click", () => attempt(ofLevel("Remove all scores of LEVEL, in every period? That can be undone.", "Remove all", "POST", "/clear")));
  $("#sign-out").addEventListener("click", signOut);
  addEventListener("hashchange", () => {
    $("#messages").replaceChildren();
    show();
  });

  if (sessionStorage.getItem(TOKEN)) attempt(signIn);
  else signOut();
})();
