type Route = { readonly pattern: RegExp; readonly methods: Set<string> };

/** What is served where, to tell an unknown path from a known one asked in the wrong way. */
export class Routes {
  private readonly routes = new Map<string, Route>();

  /** `url` as Fastify knows it: `/a/:id`. Wildcards are left out: they serve files and preflights. */
  add(url: string, methods: string | readonly string[]): void {
    if (url.includes('*')) return;
    const path = url.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:\w+/g, '[^/]+');
    const route = this.routes.get(url) ?? { pattern: new RegExp(`^${path}$`), methods: new Set<string>() };
    for (const method of [methods].flat()) route.methods.add(method);
    this.routes.set(url, route);
  }

  /** The methods of a path; none where nothing is served. */
  methodsOf(url: string): readonly string[] {
    const [path = ''] = url.split('?');
    const found = [...this.routes.values()].filter(({ pattern }) => pattern.test(path));
    return [...new Set(found.flatMap(({ methods }) => [...methods]))].toSorted();
  }
}
