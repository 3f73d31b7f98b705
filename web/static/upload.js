// Sends a video in blocks. A broken connection costs a block, and a closed page nothing that was sent.
import { call, get, patiently, Refused } from "./api.js";

const AT_ONCE = 3;

// Returns { job, video }. `onProgress` gets the share that was sent, 0 to 1.
export async function upload(file, request, onProgress, signal) {
  const key = `upload ${file.name} ${file.size} ${file.lastModified} ${JSON.stringify(request)}`;
  const opened = (await resumed(key)) ?? (await begun(file, request));
  localStorage.setItem(key, JSON.stringify({ ...opened, there: undefined }));
  const missing = [...Array(opened.blocks).keys()].filter((n) => !opened.there.has(n));
  let sent = opened.blocks - missing.length;
  onProgress(sent / opened.blocks);
  const sendSome = async () => {
    for (let n = missing.shift(); n !== undefined; n = missing.shift()) {
      const block = file.slice(n * opened.block_bytes, (n + 1) * opened.block_bytes);
      await patiently(() => send(`/api/uploads/${opened.upload}/${n}`, block, signal), signal, 600);
      onProgress(++sent / opened.blocks);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, sendSome));
    const complete = `/api/uploads/${opened.upload}/complete`;
    return await patiently(async () => (await call(complete, { method: "POST" })).json(), signal);
  } finally {
    if (!missing.length || signal.aborted) localStorage.removeItem(key);
  }
}

async function begun(file, request) {
  const json = { ...request, name: file.name, size: file.size };
  const answer = await call("/api/uploads", { method: "POST", json });
  return { ...(await answer.json()), there: new Set() };
}

async function resumed(key) {
  const kept = JSON.parse(localStorage.getItem(key) ?? "null");
  if (!kept) return null;
  try {
    const { blocks } = await get(`/api/uploads/${kept.upload}`);
    return { ...kept, there: new Set(blocks) };
  } catch {
    return null;
  }
}

async function send(path, block, signal) {
  // A file that was changed or removed meanwhile cannot be read: that will not pass.
  const body = await block.arrayBuffer().catch(() => {
    throw new Refused(400, "The file cannot be read any more.");
  });
  await call(path, { method: "PUT", body, signal });
}
