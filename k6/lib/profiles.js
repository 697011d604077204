// Load profiles. The numbers come from scripts/k6.py through the environment.

// The tags that scripts/k6.py reads; each further one costs a good part of the output.
const common = {
  systemTags: ["status", "error_code", "expected_response", "check"],
  discardResponseBodies: false,
};

// USERS users for DURATION_S seconds; whatever is in flight then may finish within DRAIN_S.
export function constantUsers() {
  return Object.assign({}, common, {
    scenarios: {
      stepped: {
        executor: "constant-vus",
        vus: Number(__ENV.USERS),
        duration: `${__ENV.DURATION_S}s`,
        gracefulStop: `${__ENV.DRAIN_S}s`,
      },
    },
  });
}
