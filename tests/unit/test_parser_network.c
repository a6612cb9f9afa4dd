/* Unit tests of what the kernel's firewall, WireGuard, strongSwan, dnsmasq and hostapd
 * log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/parsing.h"

#define H "Nov 22 15:37:46 gw "
#define K H "kernel: "
#define PACKET "IN=eth0 OUT= MAC=00:11:22:33:44:55:66:77:88:99:aa:bb:08:00 " \
	"SRC=203.0.113.9 DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=49 ID=1 DF " \
	"PROTO=TCP SPT=40000 DPT=22 WINDOW=1024 RES=0x00 SYN URGP=0 "
#define GOT " ip=203.0.113.9 port=40000 mac=66:77:88:99:aa:bb dst=192.0.2.1 dport=22"

static void packets_are_read(void **state)
{
	static const struct line_case cases[] = {
		{K "[UFW BLOCK] " PACKET, "firewall_denied none 0" GOT},
		{K "[12345.678901] [UFW BLOCK] " PACKET, "firewall_denied none 0" GOT},
		{K "[UFW ALLOW] " PACKET, "firewall_allowed none 0" GOT},
		{K "DROP wan in: " PACKET, "firewall_denied none 0" GOT},
		{K "filter_IN_public_REJECT: " PACKET, "firewall_denied none 0" GOT},
		{K "Shorewall:net-fw:DROP:" PACKET, "firewall_denied none 0" GOT},
		{K PACKET, "firewall_packet none 0" GOT},
		{K "[UFW BLOCK] IN= OUT=eth0 SRC=2001:0db8:0000:0000:0000:0000:0000:0001 "
		   "DST=2001:0db8:0000:0000:0000:0000:0000:0002 LEN=64 TC=0 HOPLIMIT=1 "
		   "FLOWLBL=0 PROTO=ICMPv6 TYPE=128 CODE=0 ID=1 SEQ=1 ",
		 "firewall_denied none 0 ip=2001:0db8:0000:0000:0000:0000:0000:0001 "
		 "dst=2001:0db8:0000:0000:0000:0000:0000:0002"},
		/* The packet inside an ICMP error is another's. */
		{K "DROP IN=eth0 OUT= MAC= SRC=203.0.113.9 DST=192.0.2.1 LEN=56 TOS=0x00 "
		   "PREC=0x00 TTL=49 ID=1 PROTO=ICMP TYPE=3 CODE=3 [SRC=192.0.2.1 "
		   "DST=198.51.100.7 LEN=28 PROTO=UDP SPT=1 DPT=2 LEN=8 ] ",
		 "firewall_denied none 0 ip=203.0.113.9 dst=192.0.2.1"},
		{K "DROP IN=eth0 OUT= ARP HTYPE=1 PTYPE=0x0800 OPCODE=1 "
		   "MACSRC=00:11:22:33:44:55 IPSRC=203.0.113.9 MACDST=00:00:00:00:00:00 "
		   "IPDST=192.0.2.1",
		 "firewall_denied none 0 ip=203.0.113.9 dst=192.0.2.1"},
		{K "device eth0 entered promiscuous mode", "promiscuous_mode none 0"},
		{K "IN=eth0 OUT=", "-"},
		{K "usb 1-1: new high-speed USB device number 2", "-"},
		{K "eth0: IN=1 SRC=203.0.113.9", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void wireguard_is_read(void **state)
{
	static const struct line_case cases[] = {
		{K "wireguard: wg0: Receiving handshake initiation from peer 1 "
		   "(192.0.2.1:51820)",
		 "vpn_handshake success 0 ip=192.0.2.1 port=51820"},
		{K "[5.1] wireguard: wg0: Invalid handshake initiation from "
		   "[2001:db8::1]:51820",
		 "vpn_login failure 1 ip=2001:db8::1 port=51820 method=publickey"},
		{K "wireguard: wg0: Invalid MAC of handshake, dropping packet from "
		   "192.0.2.1:5",
		 "vpn_handshake failure 0 ip=192.0.2.1 port=5"},
		{K "wireguard: wg0: Handshake for peer 1 (192.0.2.1:51820) did not complete "
		   "after 5 seconds, retrying (try 2)",
		 "vpn_handshake failure 0 ip=192.0.2.1 port=51820"},
		{K "wireguard: wg0: Keypair 5 created for peer 1", "vpn_session none 0"},
		{K "wireguard: WireGuard 1.0.0 loaded.", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

static void strongswan_is_read(void **state)
{
	static const struct line_case cases[] = {
		{H "charon: 07[NET] received packet: from 203.0.113.9[500] to 192.0.2.1[500] "
		   "(1136 bytes)",
		 "vpn_packet none 0 ip=203.0.113.9 port=500"},
		{H "charon: 07[IKE] 203.0.113.9 is initiating an IKE_SA",
		 "vpn_handshake none 0 ip=203.0.113.9"},
		{H "charon: 08[NET] received packet: from 198.51.100.7[4500] to "
		   "192.0.2.1[4500] (300 bytes)",
		 "vpn_packet none 0 ip=198.51.100.7 port=4500"},
		{H "charon: 07[IKE] tried 1 shared key for 'gw' - 'eve' - 'x', but MAC "
		   "mismatched",
		 "vpn_login failure 1 user=eve' - 'x ip=203.0.113.9 port=500 method=psk"},
		{H "charon: 08[IKE] EAP method EAP_MD5 failed for peer bob",
		 "vpn_login failure 1 user=bob ip=198.51.100.7 port=4500 method=eap"},
		{H "charon: 08[IKE] EAP-MS-CHAPv2 verification failed, retry (1)",
		 "vpn_login failure 1 ip=198.51.100.7 port=4500 method=eap"},
		{H "charon: 08[IKE] EAP method EAP_MSCHAPV2 failed for peer bob",
		 "vpn_login failure 0 user=bob ip=198.51.100.7 port=4500 method=eap"},
		{H "charon: 08[CFG] no matching peer config found",
		 "vpn_handshake failure 0 ip=198.51.100.7 port=4500"},
	};
	static const struct line_case alone[] = {
		{H "charon: 07[IKE] <home|3> no shared key found for 'gw'[192.0.2.1] - "
		   "'(null)'[203.0.113.9]",
		 "vpn_login failure 1 ip=203.0.113.9 method=psk"},
		{H "charon-systemd[7]: 07[IKE] XAuth authentication of 'a' failed' failed",
		 "vpn_login failure 1 user=a' failed method=xauth"},
		{H "charon: 07[IKE] XAuth authentication of 'bob' successful",
		 "vpn_login success 0 user=bob"},
		{H "charon: 07[CFG] no trusted RSA public key found for 'CN=eve'",
		 "vpn_login failure 1 user=CN=eve method=certificate"},
		{H "charon: 07[IKE] IKE_SA home[3] established between 192.0.2.1[gw]..."
		   "203.0.113.9[bob@x]",
		 "vpn_login success 1 user=bob@x ip=203.0.113.9"},
		{H "charon: 07[IKE] IKE_SA home[3] established between 192.0.2.1[gw]..."
		   "203.0.113.9[x]...198.51.100.7[root]",
		 "vpn_login success 1 user=x]...198.51.100.7[root ip=203.0.113.9"},
		{H "charon: 07[IKE] deleting IKE_SA home[3] between 192.0.2.1[gw]..."
		   "203.0.113.9[bob]",
		 "vpn_session none 0 user=bob ip=203.0.113.9"},
		{H "charon: 00[DMN] Starting IKE charon daemon", "-"},
		{H "charon: 07[IKE] authentication of 'gw' (myself) with pre-shared key", "-"},
		{H "charon: hello", "-"},
	};

	(void)state;
	CHECK_IN_ORDER(cases);
	CHECK_EACH(alone);
}

#define MAC "00:11:22:33:44:55"

static void leases_and_stations_are_read(void **state)
{
	static const struct line_case cases[] = {
		{H "dnsmasq-dhcp[7]: DHCPACK(br-lan) 192.0.2.5 " MAC " phone",
		 "dhcp_lease none 0 ip=192.0.2.5 mac=" MAC},
		{H "dnsmasq-dhcp[7]: 123456 DHCPREQUEST(br-lan) 192.0.2.5 " MAC,
		 "dhcp_message none 0 ip=192.0.2.5 mac=" MAC},
		{H "dnsmasq-dhcp[7]: DHCPDISCOVER(br-lan) " MAC,
		 "dhcp_message none 0 mac=" MAC},
		{H "dnsmasq-dhcp[7]: DHCPNAK(br-lan) 192.0.2.5 " MAC " wrong network",
		 "dhcp_refused none 0 ip=192.0.2.5 mac=" MAC},
		{H "dnsmasq[7]: Leased 192.0.2.5 IP address for client " MAC " - eve 8.8.8.8 "
		   "in LAN",
		 "dhcp_lease none 0 ip=192.0.2.5 mac=" MAC},
		{H "dnsmasq-dhcp[7]: DHCP, IP range 192.0.2.5 -- 192.0.2.9", "-"},
		{H "dnsmasq[7]: query[A] example.com from 192.0.2.5", "-"},
		{H "hostapd: wlan0: AP-STA-CONNECTED " MAC " auth_alg=open",
		 "wifi_connected none 0 mac=" MAC},
		{H "hostapd: wlan0: AP-STA-DISCONNECTED " MAC,
		 "wifi_disconnected none 0 mac=" MAC},
		{H "hostapd: wlan0: AP-STA-POSSIBLE-PSK-MISMATCH " MAC,
		 "wifi_login failure 1 mac=" MAC},
		{H "hostapd: wlan0: STA " MAC " WPA: pairwise key handshake completed (RSN)",
		 "wifi_login success 1 mac=" MAC},
		{H "hostapd: wlan0: STA " MAC " IEEE 802.11: associated (aid 1)",
		 "wifi_station none 0 mac=" MAC},
		{H "hostapd: wlan0: CTRL-EVENT-EAP-FAILURE " MAC,
		 "wifi_login failure 1 mac=" MAC},
		{H "hostapd: wlan0: STA " MAC " IEEE 802.11: Station tried to associate with "
		   "unknown SSID 'AP-STA-CONNECTED 66:77:88:99:aa:bb'", "-"},
		{H "hostapd: wlan0: AP-STA-CONNECTED eve", "-"},
		{H "hostapd: wlan0: interface state UNINITIALIZED->ENABLED", "-"},
	};

	(void)state;
	CHECK_EACH(cases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_are_read),
		cmocka_unit_test(wireguard_is_read),
		cmocka_unit_test(strongswan_is_read),
		cmocka_unit_test(leases_and_stations_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
