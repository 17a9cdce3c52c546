// What a feed needs of the world around it, so that a test can be that world.
const DELAY_MS_MAX = 2 ** 31 - 1; // timers with more fire at once
/** Browsers, and Node from version 22. */
export const THIS_ENVIRONMENT = {
    connect: (address) => new WebSocket(address),
    now: () => performance.now(),
    later: (delayMs, call) => {
        const timer = setTimeout(call, Math.min(delayMs, DELAY_MS_MAX));
        return () => clearTimeout(timer);
    },
    chance: Math.random,
};
