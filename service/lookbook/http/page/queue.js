// The images to review, in the server's order; the next ones are loaded before the person gets to them.

import { call, callJson } from "./api.js";

const BATCH = 12;
const FEW = 6;
// The server keeps an image for one reviewer for two minutes.
const CLAIM_MS = 110_000;
// The longest side of a thumbnail.
const THUMBNAIL_SIDE = 96;
const TAB_KEY = "lookbook-tab";

/** Who claims images: this tab, so that two tabs get different images, too. */
function tab() {
  const known = sessionStorage.getItem(TAB_KEY) ?? crypto.getRandomValues(new Uint32Array(4)).join("-");
  sessionStorage.setItem(TAB_KEY, known);
  return known;
}

export class Queue {
  items = [];
  seen = new Map();
  remaining = null;
  tokenName = null;

  /** `parameters`: URLSearchParams of GET /v1/reviews, such as model_version and compare. */
  constructor(parameters) {
    this.parameters = parameters;
  }

  /** Whether to fill it before the next image: it is empty, or the claim has ended. */
  get isStale() {
    return !this.items.length || this.items[0].until < Date.now();
  }

  get isLow() {
    return this.items.length < FEW;
  }

  /** Ask the server for images, and renew the claims of those that are here already; throws ApiError. */
  async fill() {
    const until = Date.now() + CLAIM_MS;
    const query = new URLSearchParams([...this.parameters, ["annotator", tab()], ["limit", BATCH]]);
    const { items, remaining, annotator } = await callJson(`v1/reviews?${query}`);
    Object.assign(this, { remaining, tokenName: annotator });
    for (const item of items) {
      if (!this.seen.has(item.id)) this.add(item);
      this.seen.get(item.id).until = until;
    }
    for (const item of this.items) if (item.until < Date.now()) this.seen.delete(item.id);
    this.items = this.items.filter(({ id }) => this.seen.has(id));
  }

  add(item) {
    item.loaded = loadPicture(item).then((picture) => Object.assign(item, { picture, isLoaded: true }));
    this.seen.set(item.id, item);
    this.items.push(item);
  }

  next() {
    return this.items.shift() ?? null;
  }

  /** Make this image the next one. */
  putBack(item) {
    this.items.unshift(item);
  }
}

const sideOf = (picture) => Math.max(picture?.naturalWidth ?? 0, picture?.naturalHeight ?? 0);

/** The stored image if it is larger than a thumbnail, which is not distorted; decoded; null if there is neither. */
async function loadPicture({ id, image }) {
  const stored = image ? await fetchPicture(`v1/predictions/${id}/image`) : null;
  if (sideOf(stored) > THUMBNAIL_SIDE) return stored;
  const thumbnail = await fetchPicture(`v1/predictions/${id}/thumbnail`);
  return sideOf(stored) > sideOf(thumbnail) ? stored : thumbnail;
}

async function fetchPicture(path) {
  const picture = new Image();
  picture.alt = "The image to judge";
  try {
    picture.src = URL.createObjectURL(await (await call(path)).blob());
    await picture.decode();
    return picture;
  } catch {
    // No image is kept, or the browser cannot show it.
    return null;
  } finally {
    URL.revokeObjectURL(picture.src);
  }
}
