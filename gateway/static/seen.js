// Which rows a person can have looked at: in view for a second, on a page that is visible and has the focus.

const LOOK_MS = 1000;
const SHARE = 0.6; // of the row's height that has to be in view

export class SeenWatch {
  #report; #observer; #ids = new Map(); #inView = new Set(); #timers = new Map();

  // `root` is what scrolls; `report` gets the id of each row once.
  constructor(root, report) {
    this.#report = report;
    this.#observer = new IntersectionObserver((entries) => entries.forEach((entry) => this.#moved(entry)), {root, threshold: SHARE});
    for (const [target, kind] of [[document, "visibilitychange"], [window, "focus"], [window, "blur"]]) {
      target.addEventListener(kind, () => this.#attention());
    }
  }

  watch(item, id) {
    this.#ids.set(item, id);
    this.#observer.observe(item);
  }

  forget(item) {
    this.#observer.unobserve(item);
    this.#ids.delete(item);
    this.#leave(item);
  }

  forgetAll() {
    for (const item of [...this.#ids.keys()]) this.forget(item);
  }

  #moved({target, isIntersecting}) {
    if (!isIntersecting || !this.#ids.has(target)) {
      this.#leave(target);
      return;
    }
    this.#inView.add(target);
    this.#look(target);
  }

  #leave(item) {
    this.#inView.delete(item);
    clearTimeout(this.#timers.get(item));
    this.#timers.delete(item);
  }

  #look(item) {
    if (this.#timers.has(item) || document.visibilityState !== "visible" || !document.hasFocus()) return;
    this.#timers.set(item, setTimeout(() => {
      const id = this.#ids.get(item);
      this.forget(item);
      this.#report(id);
    }, LOOK_MS));
  }

  // The second begins anew whenever the person comes back to the page.
  #attention() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    for (const item of this.#inView) this.#look(item);
  }
}
