// What every block reports beside k6's own metrics.
import { Gauge } from "k6/metrics";

const started = new Gauge("load_started");

// Marks the moment from which the settle time and the measured window count.
export function startLoad() {
  started.add(1);
}
