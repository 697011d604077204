// The requests of the scenarios and the proof that each was answered rightly.
import http from "k6/http";
import { check } from "k6";

const parameters = { timeout: `${__ENV.DRAIN_S}s` };
const answer = JSON.parse(__ENV.ANSWER || "{}");
const keys = Object.keys(answer);

function counts(response) {
  try {
    const body = response.json();
    return keys.every((key) => body[key] === answer[key]) && body.execution_time > 0 && body.timestamp > 0;
  } catch {
    return false;
  }
}

// ANSWER holds the counts that a right answer contains.
export function ioIntensive() {
  const response = http.post(__ENV.URL, null, parameters);
  check(response, { "the answer has the contract's counts": counts });
}
