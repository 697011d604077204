window.BENCHMARK_DATA = {
  "lastUpdate": 1790577365871,
  "repoUrl": "https://example.org/somebody/something",
  "xAxis": "id",
  "oneChartGroups": [],
  "entries": {
    "Rust [ci skip] (nightly, x86_64)": [
      {
        "commit": {
          "author": {"email": "anna@example.org", "name": "Anna Ågren", "username": "anna"},
          "committer": {"email": "noreply@example.org", "name": "Web", "username": "web-flow"},
          "distinct": true,
          "id": "1111111111111111111111111111111111111111",
          "message": "feat: a \"quoted\" thing\r\n\r\nBREAKING: </script> & more 🚀\t\u2028\u0000",
          "timestamp": "2026-02-19T22:55:28+08:00",
          "tree_id": "9999999999999999999999999999999999999999",
          "url": "https://example.org/somebody/something/commit/1111111"
        },
        "date": 1771513003896,
        "tool": "cargo",
        "benches": [
          {"name": "connect", "value": 39056, "range": "± 8021", "unit": "ns/iter"},
          {"name": "commit(t)", "value": 727452784, "unit": "ns/iter", "extra": "iterations: 1\ncpu: 727452784 ns"},
          {"name": "commit(t)", "value": 624470568.5, "unit": "ns/iter", "extra": "iterations: 1\ncpu: 624470568 ns"},
          {"name": "tiny", "value": 1.2e-9, "range": 0.5, "unit": ""},
          {"name": "failed", "value": null, "unit": "ns/iter"},
          {"name": "text", "value": "12.5", "unit": "ns/iter"}
        ]
      },
      {
        "commit": {
          "author": {"name": "somebody", "username": "somebody"},
          "committer": {"name": "somebody", "username": "somebody"},
          "id": "2222222222222222222222222222222222222222",
          "message": "",
          "timestamp": "2026-02-18T10:54:42Z",
          "url": "https://example.org/somebody/something/pull/7/commits/2222222"
        },
        "date": 1771400000000,
        "tool": "cargo",
        "benches": [{"name": "connect", "value": 38812, "range": "± 6297", "unit": "ns/iter"}]
      },
      {
        "commit": {"id": "1111111111111111111111111111111111111111", "message": "again", "author": null},
        "date": 1771600000000,
        "tool": "cargo",
        "benches": []
      }
    ],
    "Python": [
      {
        "cpu": {"speed": "2.4", "cores": 2, "processors": 1},
        "extra": {"pythonVersion": "3.12"},
        "commit": {"id": "3333333333333333333333333333333333333333", "message": "x", "timestamp": "", "url": ""},
        "date": 1771500000000,
        "benches": [
          {"name": "test_a", "value": 253.59158531822152, "unit": "iter/sec", "group": "node", "range": "stddev: 0.001"}
        ]
      },
      {
        "commit": "4444444",
        "date": "2026-02-19",
        "tool": "pytest",
        "benches": [{"name": "test_a", "value": 251, "unit": "iter/sec"}]
      }
    ],
    "Throughput": [
      {
        "commit": {"id": "5555555555555555555555555555555555555555", "message": "y"},
        "date": 1771500000001,
        "tool": "customBiggerIsBetter",
        "benches": [{"name": "rate", "value": 1234.0, "unit": "req/s", "os": "ubuntu-latest", "extra": ""}]
      }
    ],
    "Nothing yet": []
  }
}
