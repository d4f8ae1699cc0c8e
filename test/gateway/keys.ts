import { type ApiKey, type NewApiKey, type Role, createApiKey } from '#libs/access';
import { Catalog } from '#libs/jetstream';
import { eventually } from '#libs/testing';
import type { Service } from './service.js';

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

/** API keys made beside the gateway, for any tenant. */
export class Keys {
  private constructor(
    private readonly service: Service,
    private readonly catalog: Catalog<ApiKey>,
  ) {}

  static async open(service: Service): Promise<Keys> {
    return new Keys(service, await Catalog.open<ApiKey>(service.nats, 'keys'));
  }

  /** Headers of a new key, which the gateway knows of. */
  async of(role: Role, more: Partial<NewApiKey> = {}): Promise<Record<string, string>> {
    const { key, token } = createApiKey({ tenant: 'acme', name: role, roles: [role], createdAt: new Date().toISOString(), createdBy: 'test', ...more });
    await this.catalog.put(key.id, key);
    await eventually(async () => (await this.service.get('/nothing', bearer(token))).status === 404, { what: 'the gateway to know the key' });
    return bearer(token);
  }

  stop(): void {
    this.catalog.stop();
  }
}
