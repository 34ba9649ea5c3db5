// Reading the ledger's API.

/** What went wrong, in one line for people. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = '' } = {}) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const SECONDS = 30;
const grouped = new Intl.NumberFormat('en');

async function read(path, decode) {
  let response;
  try {
    response = await fetch(path, { credentials: 'omit', cache: 'no-cache', signal: AbortSignal.timeout(SECONDS * 1000) });
    if (response.ok) return await decode(response);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (error.name === 'TimeoutError') throw new ApiError(`The ledger's server did not answer within ${SECONDS} seconds.`);
    if (error instanceof SyntaxError) throw new ApiError(`The server's answer to ${path} is not JSON.`);
    throw new ApiError("The ledger's server cannot be reached.");
  }
  let told;
  try {
    told = (await response.json()).error;
  } catch {
    told = undefined;
  }
  const code = typeof told?.code === 'string' ? told.code : '';
  const message = typeof told?.message === 'string' ? told.message : `the server answered ${response.status}`;
  throw new ApiError(code ? `${message} (${code})` : message, { status: response.status, code });
}

export const getJson = (path) => read(path, (response) => response.json());
export const getText = (path) => read(path, (response) => response.text());

/** Get bytes, unless the server announces more than `limit`: strangers put blobs of any size. */
export const getBytes = (path, limit) => read(path, async (response) => {
  const size = Number(response.headers.get('content-length') ?? 0);
  if (size > limit) throw new ApiError(`These ${grouped.format(size)} bytes are too many to be checked here.`);
  return new Uint8Array(await response.arrayBuffer());
});

/** Get JSON, or undefined where there is none of that name. */
export async function find(path) {
  try {
    return await getJson(path);
  } catch (error) {
    if ([400, 404, 422].includes(error.status)) return undefined;
    throw error;
  }
}

export const segment = (text) => encodeURIComponent(text);

const names = new Map();

/** Return the name of an identity; it is registered once and never changes. */
export function nameOf(identity) {
  if (!names.has(identity)) {
    const asked = find(`v1/identities/${segment(identity)}`).then((found) => found?.name);
    asked.catch(() => names.delete(identity));
    names.set(identity, asked);
  }
  return names.get(identity);
}

/** Return a map of the names of identities, those that are not registered left out. */
export async function namesOf(identities) {
  const wanted = [...new Set(identities)].filter(Boolean);
  const found = await Promise.all(wanted.map(nameOf));
  return new Map(wanted.map((identity, i) => [identity, found[i]]).filter(([, name]) => name !== undefined));
}
