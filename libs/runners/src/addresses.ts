import { BlockList, isIP } from 'node:net';

/** A host name or address that may not be reached. */
export class AddressRefused extends Error {
  readonly code = 'HTTP_ADDRESS_REFUSED';

  constructor(address: string, host: string) {
    super(`${address === host ? host : `${host} is ${address}, which`} is not a public address`);
    this.name = 'AddressRefused';
  }
}

// Two lists: in one, an IPv6 network around ::ffff:0:0/96 would cover every IPv4 address.
const ipv4 = new BlockList();
const ipv6 = new BlockList();

const ipv4Networks = [
  ['0.0.0.0', 8], // this host
  ['10.0.0.0', 8], // private
  ['100.64.0.0', 10], // carrier-grade NAT
  ['127.0.0.0', 8], // loopback
  ['168.63.129.16', 32], // a cloud's metadata under a public address
  ['169.254.0.0', 16], // link-local, metadata
  ['172.16.0.0', 12], // private
  ['192.0.0.0', 24], // protocol assignments
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16], // private
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
] as const;

// Global unicast is 2000::/3: all else goes, with it loopback, fc00::/7, fe80::/10, mapped and NAT64 addresses.
const ipv6Networks = [
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  ['2001::', 23], // protocol assignments, Teredo
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4 carries any IPv4 address
  ['3fff::', 20], // documentation
] as const;

for (const [network, prefix] of ipv4Networks) ipv4.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of ipv6Networks) ipv6.addSubnet(network, prefix, 'ipv6');

/** True for an IP address anyone on the internet may have; false for all others and for what is no address. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !ipv4.check(address, 'ipv4');
    case 6:
      return !address.includes('%') && !ipv6.check(address, 'ipv6');
    default:
      return false;
  }
}
