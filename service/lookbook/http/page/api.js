// Requests to the server: with the token if there is one, and repeated if the server is busy or the connection fails.

import { askForToken, bearer, token } from "./token.js";

// Maximum number of attempts by status. 0: the connection failed, as it does when a phone changes networks.
const ATTEMPTS = { 0: 4, 503: 8 };

/** A failed request, with a message for people; status 0 if there was no response. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }

  /** Whether the same request may succeed later. */
  get retryable() {
    return [0, 401, 408].includes(this.status) || this.status >= 500;
  }
}

async function errorFrom(response) {
  const body = await response.json().catch(() => null);
  const message = body?.error?.message || `the server responded with status ${response.status}; try again later`;
  return new ApiError(`${message[0].toUpperCase()}${message.slice(1).replace(/\.$/, "")}.`, response.status);
}

/** Wait as long as the server asks, plus a random delay so that clients do not all return at once. */
function delay(response) {
  const seconds = Number(response?.headers.get("Retry-After")) || 1;
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000 + Math.random() * 300));
}

async function withRetries(send, onRetry) {
  for (let attempt = 1; ; ) {
    const used = token();
    const response = await send(used ? bearer(used) : {}).catch(() => null);
    if (response?.ok) return response;
    const error = response ? await errorFrom(response) : new ApiError("Cannot reach the server. Check your connection, and try again.");
    if (error.status === 401 && (used !== token() || (await askForToken()))) continue;
    if (attempt >= (ATTEMPTS[error.status] ?? 0)) throw error;
    attempt += 1;
    onRetry?.(error);
    await delay(response);
  }
}

/** The response to a request with a JSON body or none; throws ApiError. */
export function call(path, method = "GET", json = undefined) {
  const body = json && JSON.stringify(json);
  const type = json && { "Content-Type": "application/json" };
  return withRetries((headers) => fetch(path, { method, headers: { ...headers, ...type }, body }));
}

/** The JSON that a request responds with; throws ApiError. */
export const callJson = async (...request) => (await call(...request)).json();

/** A new Idempotency-Key; crypto.randomUUID is available with TLS only. */
export const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/**
 * The prediction for an image, and how many milliseconds the request took; throws ApiError.
 * `onProgress` gets the fraction that was sent, `onRetry` the error before another attempt.
 */
export async function classify(file, key, onProgress, onRetry) {
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw new ApiError("This is a folder, or a file that cannot be read. Choose an image file.", 400);
  });
  const form = new FormData();
  form.append("image", file);
  let started;
  const response = await withRetries((headers) => {
    started = performance.now();
    return post(form, { ...headers, "Idempotency-Key": key }, onProgress);
  }, onRetry);
  const took = performance.now() - started;
  return [await response.json(), took];
}

/** Like fetch, which does not report the progress of an upload. */
function post(form, headers, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "v1/predictions");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onload = () => {
      const retryAfter = request.getResponseHeader("Retry-After") ?? "";
      resolve(new Response(request.responseText, { status: request.status, headers: { "Retry-After": retryAfter } }));
    };
    request.onerror = reject;
    request.send(form);
  });
}
