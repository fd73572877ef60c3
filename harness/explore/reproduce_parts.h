// The C text of which a reproducer is made.
#pragma once

namespace portshare::reproducer {

inline constexpr char kTitle[] = R"c(/*
 * Who may bind a port that others hold?  One scenario for the kernel that runs
 * this.
 *
)c";
inline constexpr char kUsage[] = R"c( *
 * The answer after each "=>" is the expected one; below it stands why.
 *
 *   cc -Wall -Wextra -o scenario scenario.c && ./scenario
 *
 * Exit: 0 every answer is the expected one, 1 one differs, 2 it could not be
 * asked.  It works in a network namespace of its own and leaves nothing behind.
)c";
inline constexpr char kForRoot[] = R"c( * Its sockets have owners: only root can ask it.
 */
)c";
inline constexpr char kForAll[] = R"c( * Root can ask it, and whoever may make a user namespace.
 */
)c";

inline constexpr char kIncludes[] = R"c(#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
)c";
inline constexpr char kIncludesForDevices[] = R"c(#include <linux/rtnetlink.h>
#include <linux/veth.h>
)c";
inline constexpr char kMptcp[] = R"c(
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
)c";

inline constexpr char kAsking[] = R"c(
static int differs;

static _Noreturn void cannot_ask(const char *call)
{
	fprintf(stderr, "cannot ask: %s: %s\n", call, strerror(errno));
	exit(2);
}

static _Noreturn void too_late(int number)
{
	static const char text[] = "cannot ask: no answer within 10 s\n";
	ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)number;
	(void)written;
	_exit(2);
}

/* What has to succeed before anything can be asked. */
static void need(const char *call, int result)
{
	if (result < 0)
		cannot_ask(call);
}
)c";
inline constexpr char kCheck[] = R"c(
static void check(const char *step, int result, int expected)
{
	int answer = result < 0 ? errno : 0;

	printf("%-20s %-13s (expected %s)\n", step, name_of(answer), name_of(expected));
	if (answer != expected)
		differs = 1;
}
)c";
inline constexpr char kUp[] = R"c(
static void up(const char *device)
{
	int any = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	strncpy(request.ifr_name, device, IFNAMSIZ - 1);
	need("socket", any);
	need("SIOCGIFFLAGS", ioctl(any, SIOCGIFFLAGS, &request));
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	need("SIOCSIFFLAGS", ioctl(any, SIOCSIFFLAGS, &request));
	close(any);
}
)c";
inline constexpr char kNamespaceOfAll[] = R"c(
static void write_line(const char *file, const char *line)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		cannot_ask(file);
	close(fd);
}

/* Who is not root becomes root of a user namespace with one uid. */
static void enter_namespace(void)
{
	char map[64];
	unsigned int uid = geteuid();
	unsigned int gid = getegid();

	if (unshare(CLONE_NEWNET) < 0) {
		need("unshare(CLONE_NEWUSER | CLONE_NEWNET)",
		     unshare(CLONE_NEWUSER | CLONE_NEWNET));
		write_line("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		write_line("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		write_line("/proc/self/gid_map", map);
	}
	up("lo");
}
)c";
inline constexpr char kNamespaceOfRoot[] = R"c(
static void enter_namespace(void)
{
	need("its sockets have owners, which takes root: unshare(CLONE_NEWNET)",
	     unshare(CLONE_NEWNET));
	up("lo");
}
)c";

// A function of the program that is there if another calls it, and what it needs itself stands before it.
struct Helper {
  const char* name;
  const char* text;
};
inline constexpr Helper kHelpers[] = {{"set_owner", R"c(
static int set_owner(int fd, uid_t owner)
{
	return fchown(fd, owner, (gid_t)-1);
}
)c"},
                                      {"need_owner", R"c(
/* A user namespace may not have this uid. */
static void need_owner(uid_t owner)
{
	int any = socket(AF_INET, SOCK_STREAM, 0);

	need("socket", any);
	need("fchown", set_owner(any, owner));
	close(any);
}
)c"},
                                      {"make_devices", R"c(
/* The attributes of RTM_NEWLINK; the strings end in zeros. */
struct veth_request {
	struct nlmsghdr head;
	struct ifinfomsg link;
	struct rtattr name;
	char v0[4];
	struct rtattr info;
	struct rtattr kind;
	char veth[8];
	struct rtattr data;
	struct rtattr peer;
	struct ifinfomsg peer_link;
	struct rtattr peer_name;
	char v1[4];
};

#define FROM(member) (sizeof(struct veth_request) - offsetof(struct veth_request, member))

/* ip link add v0 type veth peer name v1 */
static void make_devices(void)
{
	struct veth_request request = {
		.head = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_NEWLINK,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL },
		.name = { RTA_LENGTH(sizeof(request.v0)), IFLA_IFNAME }, .v0 = "v0",
		.info = { FROM(info), IFLA_LINKINFO },
		.kind = { RTA_LENGTH(sizeof(request.veth)), IFLA_INFO_KIND }, .veth = "veth",
		.data = { FROM(data), IFLA_INFO_DATA },
		.peer = { FROM(peer), VETH_INFO_PEER },
		.peer_name = { RTA_LENGTH(sizeof(request.v1)), IFLA_IFNAME }, .v1 = "v1",
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
	} reply = { .error = { .error = -EPROTO } };
	int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	need("socket(NETLINK_ROUTE)", netlink);
	need("RTM_NEWLINK", (int)send(netlink, &request, sizeof(request), 0));
	need("RTM_NEWLINK", (int)recv(netlink, &reply, sizeof(reply), 0));
	errno = -reply.error.error;
	need("make the devices v0 and v1", reply.error.error);
	close(netlink);
	up("v0");
	up("v1");
}
)c"},
                                      {"set_device", R"c(
static int set_device(int fd, const char *device)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device));
}
)c"},
                                      {"set_option", R"c(
static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}
)c"},
                                      {"bind4", R"c(
static int bind4(int fd, const char *address, unsigned short port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, address, &to.sin_addr);
	return bind(fd, (struct sockaddr *)&to, sizeof(to));
}
)c"},
                                      {"bind6", R"c(
static int bind6(int fd, const char *address, unsigned short port)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	inet_pton(AF_INET6, address, &to.sin6_addr);
	return bind(fd, (struct sockaddr *)&to, sizeof(to));
}
)c"},
                                      {"leave_time_wait", R"c(
/*
 * Connects `fd` to `listener` and closes it first.  With SO_LINGER the other
 * end stays in close(2) until its FIN is acknowledged: then TIME_WAIT stands.
 */
static int leave_time_wait(int fd, int listener)
{
	struct linger until_acknowledged = { .l_onoff = 1, .l_linger = 5 };
	struct sockaddr_storage to;
	socklen_t size = sizeof(to);
	char nothing;
	int end;

	need("listen", listen(listener, 1));
	need("getsockname", getsockname(listener, (struct sockaddr *)&to, &size));
	if (connect(fd, (struct sockaddr *)&to, size) < 0) {
		if (errno != EISCONN) /* a listener does not connect */
			cannot_ask("connect");
		return -1;
	}
	end = accept(listener, NULL, NULL);
	need("accept", end);
	need("SO_LINGER", setsockopt(end, SOL_SOCKET, SO_LINGER, &until_acknowledged,
				     sizeof(until_acknowledged)));
	need("close", close(fd));
	need("read", (int)read(end, &nothing, 1));
	need("close", close(end));
	return 0;
}
)c"},
                                      {"hold_unrelated", R"c(
/*
 * Sockets in the hash slot of a port that differs by 32768: udp_hashfn() gives
 * both one slot if the table has no more slots than that.
 */
static void hold_unrelated(unsigned int count, int protocol, unsigned short port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	FILE *file = fopen("/proc/sys/net/ipv4/udp_hash_entries", "r"); /* since 6.2 */
	long slots = 0;
	unsigned int i;

	if (file && fscanf(file, "%ld", &slots) == 1 && labs(slots) > 32768) {
		errno = ERANGE;
		cannot_ask("net.ipv4.udp_hash_entries");
	}
	if (file)
		fclose(file);
	for (i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_DGRAM, protocol);

		to.sin_addr.s_addr = htonl(0x7f010001 + i); /* 127.1.0.1 and on */
		need("unrelated: socket", fd);
		need("unrelated: bind", bind(fd, (struct sockaddr *)&to, sizeof(to)));
	}
}
)c"}};

inline constexpr char kMainStart[] = R"c(
int main(void)
{
	signal(SIGALRM, too_late);
	alarm(10);
	setvbuf(stdout, NULL, _IOLBF, 0);
	enter_namespace();
)c";
inline constexpr char kMainEnd[] = R"c(
	return differs;
}
)c";

}  // namespace portshare::reproducer
