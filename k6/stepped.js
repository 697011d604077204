// One block of the `stepped` scenario: a closed model with a constant number of users, io-intensive requests only.
import { startLoad } from "./lib/block.js";
import { ioIntensive } from "./lib/requests.js";
import { constantUsers } from "./lib/profiles.js";

export const options = constantUsers();
export const setup = startLoad;
export default ioIntensive;
