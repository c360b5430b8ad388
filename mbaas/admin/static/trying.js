// A test on one's own phone: sent, and looked after until it is known what became of it.
import { ask, several } from "./page.js";

export async function tried(hint, path, body) {
  hint.textContent = "Sending…";
  try {
    const told = await ask(`${path}/test`, body);
    for (let tries = 0; tries < 40; tries += 1) {
      const { counts, failed, held } = await ask(`${path}/tests/${told.run}`);
      if (counts.audience && !counts.pending) {
        hint.textContent = counts.sent ? `Sent to ${several(counts.sent, "device")}. Look at your phone.` : `It did not leave: ${[...failed, ...held].map((each) => each.says).join("; ")}.`;
        return;
      }
      await new Promise((done) => { setTimeout(done, 500); });
    }
    hint.textContent = "It is on its way.";
  } catch (error) {
    hint.textContent = error.message;
  }
}
