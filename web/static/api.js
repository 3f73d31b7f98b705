// Requests to the studio. What is refused is thrown with the sentence that says why.

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function call(path, { method = "GET", json, body, signal } = {}) {
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  const content = json === undefined ? body : JSON.stringify(json);
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: content, signal, cache: "no-cache" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The studio does not answer.");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    const words = problem.detail || `the studio answered ${answer.status}.`;
    // Programs read it after a colon, and people as a sentence.
    throw new Refused(answer.status, words[0].toUpperCase() + words.slice(1));
  }
  return answer;
}

export async function get(path, options) {
  return (await call(path, options)).json();
}

export function pause(milliseconds, signal) {
  return new Promise((done, fail) => {
    signal?.throwIfAborted();
    const leave = () => {
      clearTimeout(timer);
      fail(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", leave);
      done();
    }, milliseconds);
    signal?.addEventListener("abort", leave);
  });
}

// Repeats what fails because the studio or storage is away; what is refused for good is thrown.
export async function patiently(work, signal, longest = 60) {
  for (let wait = 400, spent = 0; ; wait = Math.min(wait * 1.7, 5000)) {
    try {
      return await work();
    } catch (error) {
      const passing = error.status === 0 || error.status === 429 || error.status >= 500;
      if (!passing || spent / 1000 > longest) throw error;
      await pause(wait, signal);
      spent += wait;
    }
  }
}
