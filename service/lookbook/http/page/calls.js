// Calls to the service: with the token where one is needed, and again where it was busy or the connection broke.

import { askToken, bearer, token } from "./token.js";

// By status; 0: the connection broke, as it does when a telephone changes its network.
const TRIES = { 0: 4, 503: 8 };

/** Why a call has no answer, in words; status 0: the service was not reached. */
export class Refusal extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }

  /** Whether the same call may do better later. */
  get passing() {
    return [0, 401, 408].includes(this.status) || this.status >= 500;
  }
}

async function refusal(response) {
  const body = await response.json().catch(() => null);
  const message = body?.error?.message || `the service answered ${response.status}`;
  return new Refusal(`${message[0].toUpperCase()}${message.slice(1).replace(/\.$/, "")}.`, response.status);
}

/** The seconds are the service's own; the rest keeps those that were refused together from coming back together. */
function pause(response) {
  const seconds = Number(response?.headers.get("Retry-After")) || 1;
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000 + Math.random() * 300));
}

async function persist(attempt, waiting) {
  for (let tries = 1; ; ) {
    const used = token();
    const response = await attempt(used ? bearer(used) : {}).catch(() => null);
    if (response?.ok) return response;
    const refused = response ? await refusal(response) : new Refusal("The connection broke before an answer came.");
    if (refused.status === 401 && (used !== token() || (await askToken()))) continue;
    if (tries >= (TRIES[refused.status] ?? 0)) throw refused;
    tries += 1;
    waiting?.(refused);
    await pause(response);
  }
}

/** The answer to a call without a body; throws Refusal. */
export function call(path, method = "GET") {
  return persist((headers) => fetch(path, { method, headers }));
}

/** A new Idempotency-Key; crypto.randomUUID is not there without TLS. */
export const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/**
 * The prediction for a picture, and the milliseconds that its request took; throws Refusal.
 * `progress` gets the part that was sent, `waiting` a refusal that is waited out.
 */
export async function classify(file, key, progress, waiting) {
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new Refusal("This is a folder, or a file that cannot be read.", 400);
  });
  const form = new FormData();
  form.append("image", file);
  let began;
  const response = await persist((headers) => {
    began = performance.now();
    return post(form, { ...headers, "Idempotency-Key": key }, progress);
  }, waiting);
  const took = performance.now() - began;
  return [await response.json(), took];
}

/** As fetch would, which tells nothing of what was sent so far. */
function post(form, headers, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "v1/predictions");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onload = () => {
      const again = request.getResponseHeader("Retry-After") ?? "";
      resolve(new Response(request.responseText, { status: request.status, headers: { "Retry-After": again } }));
    };
    request.onerror = reject;
    request.send(form);
  });
}
