// Objects of one query, kept on a device: read and written without a connection, and brought up to date whenever there is one.
// `storage` is what the device has: anything with getItem and setItem, such as localStorage or React Native's AsyncStorage.

/** How a conflict ends unless the app knows better: with our fields on top of theirs, and without deleting what they have changed. */
const ours = (theirs, mine) => mine;

export class Offline {
  #turn = Promise.resolve();

  /**
   * `resolve(theirs, mine)` gives the fields to write to an object that somebody else has written, or nothing to leave it; `mine` is
   * undefined for a delete. `refused(write, error)` hears of a write that the server will not have, `changed()` of anything new to show.
   */
  constructor(Parse, className, { storage, where = {}, resolve = ours, refused = console.warn, changed = () => {}, fetch }) {
    Object.assign(this, { Parse, className, storage, where, resolve, refused, changed, fetch: fetch ?? globalThis.fetch.bind(globalThis) });
  }

  /** Take up what was kept when the app last ran for this user. */
  async open() {
    const user = await this.Parse.User.currentAsync();
    this.key = `offline/${user?.id ?? "public"}/${this.className}/${JSON.stringify(this.where)}`;
    this.state = JSON.parse((await this.storage.getItem(this.key)) ?? '{"objects":{},"queue":[]}');
    return this;
  }

  /** The objects as the user should see them: as the server told them, with her own writes on top that it has not taken yet. */
  all() {
    const seen = { ...this.state.objects };
    for (const { method, objectId, body } of this.state.queue) {
      if (method === "DELETE") delete seen[objectId];
      else if (method === "POST" || seen[objectId]) seen[objectId] = { ...seen[objectId], ...body, objectId };
    }
    return Object.values(seen);
  }

  /** Save fields of an object, or a new object; its id until the server gives it one is `localId`, which is saved with it. */
  async save({ objectId, ...body }) {
    if (!objectId) {
      objectId = body.localId = crypto.randomUUID();
      await this.#enqueue({ method: "POST", objectId, body });
    } else {
      await this.#enqueue({ method: "PUT", objectId, body });
    }
    return objectId;
  }

  /** Remove an object. */
  async remove(objectId) {
    await this.#enqueue({ method: "DELETE", objectId });
  }

  /** Send what is queued, then take in what others have written. Rejects while there is no connection; nothing is lost by that. */
  sync() {
    this.#turn = this.#turn
      .catch(() => {})
      .then(() => this.#push())
      .then(() => this.#pull());
    return this.#turn;
  }

  async #enqueue(write) {
    const objects = Object.values(this.state.objects);
    const known = objects.find(({ objectId, localId }) => write.objectId === objectId || write.objectId === localId);
    this.state.queue.push({ id: crypto.randomUUID(), base: known?.updatedAt, ...write, objectId: known?.objectId ?? write.objectId });
    await this.#keep();
  }

  async #push() {
    const { queue } = this.state;
    while (queue.length) {
      await this.#send(queue[0]);
      queue.shift();
      await this.#keep();
    }
  }

  async #send(write) {
    // The server knows request ids for five minutes; after that a create is known by its localId, an update by If-Match.
    if (write.method === "POST" && write.tried && (await this.#adopt(write))) return;
    write.tried = true;
    await this.#keep();
    const headers = { "X-Parse-Request-Id": write.id };
    if (write.base) headers["If-Match"] = `"${write.base}"`;
    const path = write.method === "POST" ? "" : `/${write.objectId}`;
    const { status, answer } = await this.#call(write.method, `${this.#classes()}${path}`, write.body, headers);
    if (status < 300) this.#written(write, answer);
    else if (answer.code === 251) await this.#settle(write);
    else if (answer.code === 159) await this.#adopt(write);
    else if (answer.code !== 101) this.refused(write, answer);
  }

  /** Find out which object an attempt to create it has made, if it has. */
  async #adopt(write) {
    if (write.method !== "POST") return false;
    const [found] = await this.#find({ localId: write.objectId }, 1);
    if (found) this.#written(write, found);
    return Boolean(found);
  }

  /** Somebody else has written the object: what to write is decided anew, from her state and ours. */
  async #settle(write) {
    const [theirs] = await this.#find({ objectId: write.objectId }, 1);
    if (!theirs) return;
    this.state.objects[theirs.objectId] = theirs;
    const body = this.resolve(theirs, write.body);
    if (body) await this.#send(Object.assign(write, { id: crypto.randomUUID(), base: theirs.updatedAt, body }));
  }

  #written(write, answer) {
    const { objects, queue } = this.state;
    const objectId = answer.objectId ?? write.objectId;
    if (write.method === "DELETE") {
      delete objects[objectId];
      return;
    }
    const updatedAt = answer.updatedAt ?? answer.createdAt;
    objects[objectId] = { ...objects[objectId], ...write.body, ...answer, objectId, updatedAt };
    for (const later of queue.slice(1).filter((other) => other.objectId === write.objectId)) {
      Object.assign(later, { objectId, base: updatedAt });
    }
  }

  async #pull() {
    for (let more = Boolean(this.state.position) || (await this.#start()); more; ) {
      const { status, answer } = await this.#changes({ since: this.state.position });
      if (status === 410) {
        more = await this.#start();
        continue;
      }
      for (const { op, objectId, object } of answer.results) {
        if (op === "delete") delete this.state.objects[objectId];
        else this.state.objects[objectId] = object;
      }
      this.state.position = answer.next;
      more = answer.more;
      await this.#keep();
    }
  }

  /** Begin anew: first the position, then the objects. What is written in between comes again with the changes. */
  async #start() {
    const { answer } = await this.#changes({});
    const objects = {};
    let page = [];
    do {
      const after = page.length ? { objectId: { $gt: page.at(-1).objectId } } : {};
      page = await this.#find({ $and: [this.where, after] }, 1000);
      for (const object of page) objects[object.objectId] = object;
    } while (page.length === 1000);
    Object.assign(this.state, { objects, position: answer.next });
    await this.#keep();
    return true;
  }

  /** Be woken by live queries. Asked for `since` the position, the server also tells what came between two connections. */
  watch(WebSocket = globalThis.WebSocket) {
    // When it closes, open another: nothing is missed.
    const socket = new WebSocket(this.Parse.serverURL.replace(/^http/, "ws"));
    const send = (message) => socket.send(JSON.stringify(message));
    socket.onopen = async () => send({ op: "connect", ...(await this.#names()) });
    socket.onmessage = async ({ data }) => {
      const { op } = JSON.parse(data);
      if (op === "subscribed") return;
      try {
        await this.sync();
        const query = { className: this.className, where: this.where };
        if (op === "connected") send({ op: "subscribe", requestId: 1, query, since: this.state.position });
      } catch {
        socket.close();
      }
    };
    return socket;
  }

  #classes() {
    return `${this.Parse.serverURL}/classes/${this.className}`;
  }

  async #find(where, limit) {
    const query = new URLSearchParams({ where: JSON.stringify(where), order: "objectId", limit });
    const { status, answer } = await this.#call("GET", `${this.#classes()}?${query}`);
    if (status >= 300) throw new this.Parse.Error(answer.code, answer.error);
    return answer.results;
  }

  async #changes(more) {
    const query = new URLSearchParams({ className: this.className, where: JSON.stringify(this.where), ...more });
    const reply = await this.#call("GET", new URL(`/api/v1/changes?${query}`, this.Parse.serverURL));
    if (reply.status >= 300 && reply.status !== 410) throw new this.Parse.Error(reply.answer.code, reply.answer.error);
    return reply;
  }

  /** One request; rejects where the server cannot answer now, so that what is queued stays queued. */
  async #call(method, url, body, headers = {}) {
    const { applicationId, javascriptKey, sessionToken } = await this.#names();
    const keys = { "X-Parse-Application-Id": applicationId };
    if (javascriptKey) keys["X-Parse-Javascript-Key"] = javascriptKey;
    if (sessionToken) keys["X-Parse-Session-Token"] = sessionToken;
    if (body) headers["Content-Type"] = "application/json";
    const reply = await this.fetch(url, { method, headers: { ...keys, ...headers }, body: body && JSON.stringify(body) });
    const answer = await reply.json();
    const later = reply.status === 429 || reply.status >= 500 || answer.code === this.Parse.Error.INVALID_SESSION_TOKEN;
    if (later) throw new this.Parse.Error(answer.code, answer.error);
    return { status: reply.status, answer };
  }

  async #names() {
    const { applicationId, javaScriptKey: javascriptKey, User } = this.Parse;
    return { applicationId, javascriptKey, sessionToken: (await User.currentAsync())?.getSessionToken() };
  }

  async #keep() {
    await this.storage.setItem(this.key, JSON.stringify(this.state));
    this.changed();
  }
}
