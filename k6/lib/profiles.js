// Load profiles. The numbers come from scripts/load/k6.py through the environment.

// ARMS is a list of [arm, address]; each arm is a scenario of its own, and all are loaded at once.
const arms = JSON.parse(__ENV.ARMS);

// The tags that scripts/load/k6.py reads; each further one costs a good part of the output.
const common = {
  systemTags: ["status", "error_code", "expected_response", "check"].concat(arms.length > 1 ? ["scenario"] : []),
  discardResponseBodies: false,
};

// USERS users on each arm for DURATION_S seconds; whatever is in flight then may finish within DRAIN_S.
export function constantUsers() {
  const scenarios = arms.map(([arm, url]) => [
    arm,
    {
      executor: "constant-vus",
      vus: Number(__ENV.USERS),
      duration: `${__ENV.DURATION_S}s`,
      gracefulStop: `${__ENV.DRAIN_S}s`,
      env: { URL: url },
    },
  ]);
  return Object.assign({}, common, { scenarios: Object.fromEntries(scenarios) });
}
