// One event stream for all open tabs of an agent. Browsers allow six connections to a host, so a stream per tab would stop
// the seventh tab, and every request with it. Runs as a shared worker; the tabs are told what the stream says, and a tab
// that opens later is told what stands. Where there are no shared workers, console.js listens by itself.
"use strict";

const tabs = new Set();
// What a tab that opens later is told; an ended call only as long as its agent is to finish the work after it.
const standing = new Map();
let agent = 0;
let wire = "connecting";
let stream = null;

function tell(event, data) {
  for (const tab of tabs) tab.postMessage({ event, data });
}

function setWire(state) {
  wire = state;
  tell("wire", state);
}

function keepPop(data) {
  const handled = data.handling.includes(agent);
  if (handled && data.state === "answered") {
    // Who speaks anew has finished with the calls before.
    for (const { call, state } of [...standing.values()]) if (state === "ended") standing.delete(call);
  }
  if (data.state !== "ended" || (handled && data.left_s > 0)) {
    standing.set(data.call, { ...data, until: performance.now() + data.left_s * 1000 });
  } else standing.delete(data.call);
}

const keep = {
  pop: keepPop,
  leave: (data) => standing.delete(data.call),
  state: (data) => {
    agent = data.agent;
    for (const call of [...standing.keys()]) if (!data.calls.includes(call)) standing.delete(call);
  },
  // Told to whoever is there: a tab that opens later asks for what it needs.
  work: () => {},
  "signed-out": () => {
    standing.clear();
    stream.close();
    stream = null;
  },
};

function listen(address) {
  stream = new EventSource(address);
  stream.addEventListener("open", () => setWire("open"));
  stream.addEventListener("error", () => {
    setWire("lost");
    // The browser comes back by itself after a lost connection, but not after an answer that was no stream.
    if (stream?.readyState === EventSource.CLOSED) setTimeout(() => listen(address), 3000);
  });
  for (const [event, remember] of Object.entries(keep)) {
    stream.addEventListener(event, (message) => {
      const data = JSON.parse(message.data);
      remember(data);
      tell(event, data);
    });
  }
}

function welcome(tab, address) {
  tabs.add(tab);
  if (!stream) listen(address);
  tab.postMessage({ event: "wire", data: wire });
  for (const data of standing.values()) {
    if (data.state !== "ended" || performance.now() < data.until) tab.postMessage({ event: "pop", data });
  }
}

globalThis.addEventListener("connect", (connection) => {
  const [tab] = connection.ports;
  tab.addEventListener("message", ({ data }) => {
    if (data.address) welcome(tab, data.address);
    else tabs.delete(tab);
  });
  tab.start();
});
