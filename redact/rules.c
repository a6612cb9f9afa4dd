/* The rule table: which literal leads to which verifier. */
#include "redact/verify.h"
#include "redact/scan.h"

/* ---- names of values ---- */

static const struct key_name strong = {STRONG, false, false, false};
static const struct key_name passwd = {STRONG, false, true, false};
static const struct key_name pwd = {STRONG, false, false, true};
static const struct key_name strong_word = {STRONG, true, false, false};
static const struct key_name medium = {MEDIUM, false, false, false};
static const struct key_name weak_word = {WEAK, true, false, true};
const struct key_name rule_weak_key = {WEAK, true, false, true};

const struct key_name rule_user_key = {STRONG, true, false, false};

/* ---- tokens ---- */

#define FORM(name, ...) static const struct token_form name = {__VA_ARGS__}

FORM(base32_16, C_UPPER | C_DIGIT, 16, 16);
FORM(alnum_14, C_ALNUM, 14, 0);
FORM(alnum_16, C_ALNUM, 16, 0);
FORM(alnum_20, C_ALNUM, 20, 0);
FORM(alnum_30, C_ALNUM, 30, 0);
FORM(word_16, C_WORD, 16, 0);
FORM(word_20, C_WORD, 20, 0);
FORM(word_30, C_WORD, 30, 0);
FORM(word_57, C_WORD, 57, 0);
FORM(word_35, C_WORD, 35, 35);
FORM(dotted_16, C_WORD | C_DOT | C_B64, 16, 0);
FORM(dotted_20, C_WORD | C_DOT | C_B64, 20, 0);
FORM(dotted_40, C_WORD | C_DOT | C_B64 | C_TILDE, 40, 0);
FORM(dashed_24, C_ALNUM | C_LINE, 24, 0);
FORM(hex_12, C_HEX | C_LINE, 12, 0);
FORM(hex_32, C_HEX, 32, 0);
FORM(hex_32_only, C_HEX, 32, 32);
FORM(alpha_34, C_ALNUM, 30, 40);
FORM(base64_100, C_WORD | C_B64, 40, 0);
FORM(base32_age, C_UPPER | C_DIGIT, 50, 60);
FORM(onepassword, C_UPPER | C_DIGIT | C_LINE, 34, 38);
FORM(slack_old, C_ALNUM | C_LINE, 10, 0);
FORM(slack_hook, C_WORD, 20, 0);
FORM(any_hook, C_WORD, 32, 0);

const struct token_form rule_user_token = {C_WORD | C_DOT | C_B64 | C_TILDE, 6, 0};

/* ---- commands ---- */

#define COMMAND(name, ...) static const struct command_form name = {__VA_ARGS__}

COMMAND(nmcli, "password", 0);
COMMAND(first_word, NULL, 1);
COMMAND(wpa, NULL, 2);
COMMAND(htpasswd, NULL, 3);

/* ---- user names in failed logins ---- */

#define WHO(name, ...) static const struct name_form name = {__VA_ARGS__}

WHO(who_sshd, .blanks = true);
WHO(who_next, .where = NAME_HERE);
WHO(who_quote, .where = NAME_QUOTED);
WHO(who_auth, .where = NAME_QUOTED, .needs = "failed");
WHO(who_charon, .where = NAME_QUOTED, .needs = " for '");
WHO(who_sasl, .needs = "authentication failed", .until = "");
WHO(who_luci, .blanks = true, .behind = " for ");
WHO(who_login, .behind = " FOR ", .until = ", ");
WHO(who_from, .until = " from ");
WHO(who_all, .until = "");
WHO(who_comma, .behind = ", ", .until = "");
WHO(who_user_eq, .behind = " user=", .needs = "ailure", .ends = ",");
WHO(who_courier, .behind = "user=", .until = ", ip=[");
WHO(who_dovecot, .behind = "user=");
WHO(who_exim, .needs = "uthenticat", .until = ")");
WHO(who_saslauthd, .until = "] [service=");
WHO(who_cyrus, .behind = " (", .until = ") ");
WHO(who_cyrus_bare, .needs = "badlogin: ", .until = " SASL(");
WHO(who_smtpd, .needs = " result=permfail", .until = " result=");
WHO(who_sendmail, .behind = ", user=", .until = ", relay=");
WHO(who_lighttpd, .behind = " username: ", .until = " IP: ");
WHO(who_hba, .behind = "user \"", .until = "\", database \"");
WHO(who_proxmox, .where = NAME_REALM, .behind = " user=", .until = " msg=");
WHO(who_myadmin, .until = " (");
WHO(who_sip, .where = NAME_SIP, .until = "' failed for '");
WHO(who_request, .where = NAME_SIP, .behind = "' from '", .until = "' failed for '");
WHO(who_xrdp, .until = " ip=");
/* Of parsers/apps.c, app_members.c. */
WHO(who_jellyfin, .until = " has been denied (IP: ");
WHO(who_servarr, .behind = " username '", .until = "'");
WHO(who_kuma, .until = ". IP=");
WHO(who_technitium, .until = "");
WHO(who_immich, .until = " from ip address ");
WHO(who_vaultwarden, .behind = "Username: ", .until = ".");
WHO(who_qbittorrent, .behind = ", username: ", .until = "");
WHO(who_odoo, .behind = " login:", .until = " from ");
WHO(who_litespeed, .until = " ip:");
WHO(who_freeswitch, .behind = " for [", .until = "@");
WHO(who_find_user, .until = "@");
WHO(who_webmin, .before = "] ", .until = " - ");
WHO(who_seerr, .behind = "\"email\":\"", .words = true, .ends = "\"");
WHO(who_account, .words = true, .ends = "\"");
WHO(who_mongo, .behind = "\"principalName\":\"", .words = true, .ends = "\"");
WHO(who_miniflux, .behind = " username=", .words = true, .ends = "\"");
WHO(who_sftpgo, .behind = "\"username\":\"", .words = true, .ends = "\"");
WHO(who_teleport, .behind = "\"user\":\"", .words = true, .ends = "\"");
WHO(who_share, .before = "]\\[", .words = true, .ends = "]");
WHO(who_authentik, .behind = "\"identifier\": \"", .words = true, .ends = "\"");
WHO(who_before_for, .where = NAME_UP_TO, .before = " for user ");
WHO(who_vsftpd, .where = NAME_UP_TO, .before = "[");
WHO(who_vsftpd_530, .where = NAME_UP_TO, .before = "[", .needs = "\"530 ");
WHO(who_proftpd, .where = NAME_UP_TO, .before = "USER ");
WHO(who_user, .where = NAME_UP_TO, .before = "user ");
WHO(who_openvpn, .where = NAME_UP_TO, .before = "user '");
WHO(who_userdb, .where = NAME_CLOSED, .before = "user ");
WHO(who_quoted, .where = NAME_UP_TO, .before = "user \"");
WHO(who_lookup, .before = "(", .words = true, .ends = ",)");
WHO(who_samba, .before = "ser [", .ends = "]");
WHO(who_acct, .where = NAME_ACCT, .before = "acct=");
WHO(who_access, .where = NAME_ACCESS);
WHO(who_both, .where = NAME_BOTH, .behind = ": [");
WHO(who_honeypot, .where = NAME_BOTH);

#define KEY(text, form) {text SCAN_SEP, true, RULE_PASSWORD, verify_pair, &(form)}
#define NAME(text, form) {text SCAN_SEP, true, RULE_SECRET, verify_pair, &(form)}
#define CASED(text, form) {text SCAN_SEP, false, RULE_PASSWORD, verify_pair, &(form)}
#define PREFIX(rule, text, form) {text, false, RULE_##rule, verify_token, &(form)}
#define RANDOM(rule, text, form) {text, false, RULE_##rule, verify_random, &(form)}
#define RUN(text, form) {text, false, RULE_COMMAND, verify_command, &(form)}
#define OPTION(text) {text " ", true, RULE_COMMAND, verify_option, NULL}
#define STATED(text, fn, rule) {text, false, rule, fn, NULL}
#define NAMED(text, form) {text, false, RULE_TYPED, verify_typed, &(form)}
#define HEX(text, fn) {text, false, RULE_COMMAND, fn, NULL}
#define HEADER(text, fn, rule) {text, true, RULE_##rule, fn, NULL}


const struct literal rule_literals[] = {
	KEY("password", strong),
	KEY("passwd", passwd),
	KEY("passwort", strong),
	KEY("passphrase", strong),
	KEY("passcode", strong),
	KEY("pass", strong_word),
	KEY("psk", strong_word),
	CASED(" pw", strong), CASED("\"pw", strong), CASED("&pw", strong),
	/* Without the letter that may be a capital: cheaper than both cases. */
	CASED("ennwort", strong), CASED("ot_de_passe", strong), CASED("ontrasena", strong),
	CASED("achtwoord", strong),
	/* Credentials of a gem server, as Bundler takes them. */
	KEY("CONTRIBSYS__COM", strong),
	KEY("password_hash", strong),
	/* sudo logs PWD= on every line; pwd= in capitals needs a prefix. */
	CASED("pwd", pwd),
	CASED("Pwd", pwd),
	CASED("_PWD", pwd),
	CASED("_PW", strong),
	CASED("_pw", strong),
	{"IDENTIFIED BY" SCAN_SEP, true, RULE_PASSWORD, verify_pair, &strong},
	STATED("IDENTIFIED WITH ", verify_identified, RULE_PASSWORD),
	STATED("INSERT INTO ", verify_insert, RULE_PASSWORD),
	STATED("insert into ", verify_insert, RULE_PASSWORD),
	STATED("password is ", verify_stated, RULE_PASSWORD),
	STATED("passphrase is ", verify_stated, RULE_PASSWORD),
	STATED("passwort ist ", verify_stated, RULE_PASSWORD),
	STATED("secret is ", verify_stated, RULE_SECRET),
	STATED("token is ", verify_stated, RULE_SECRET),
	STATED("key is ", verify_stated, RULE_SECRET),
	STATED("_access_key ", verify_stated, RULE_SECRET),

	NAME("token", medium),
	NAME("secret", medium),
	NAME("secret_value", medium),
	NAME("credential", medium),
	NAME("credentials", weak_word),
	NAME("key", rule_weak_key),
	NAME("_auth", weak_word),
	NAME("sessid", medium),
	NAME("sessionid", medium),
	NAME("session_id", weak_word),
	NAME("signature", weak_word),
	NAME("sig", weak_word),
	NAME("client_id", weak_word),

	HEADER("authorization" SCAN_SEP, verify_authorization, AUTHORIZATION),
	HEADER("bearer ", verify_scheme, AUTHORIZATION),
	HEADER("basic ", verify_scheme, AUTHORIZATION),
	HEADER("cookie" SCAN_SEP, verify_cookie, COOKIE),
	HEADER(SCAN_WORD "://", verify_url, URL),

	OPTION("-password"), OPTION("-passwd"), OPTION("-pass"), OPTION("-token"),
	OPTION("-secret"), OPTION("-api-key"), OPTION("-apikey"),
	OPTION("-access-key"), OPTION("-secret-key"), OPTION("-passphrase"),
	OPTION("-pw"), OPTION("-api-token"), OPTION("-access-token"),
	{"-passin pass:", false, RULE_COMMAND, verify_option, NULL},
	{"-passout pass:", false, RULE_COMMAND, verify_option, NULL},
	/* -p and the like: the command's name stands before it. */
	{SCAN_PRINT " -" SCAN_OPTION, false, RULE_COMMAND, verify_flag, NULL},
	{"=\"-" SCAN_OPTION, false, RULE_COMMAND, verify_flag, NULL},
	{"--user", false, RULE_COMMAND, verify_flag, NULL},
	{"--proxy-user", false, RULE_COMMAND, verify_flag, NULL},
	RUN("nmcli ", nmcli), RUN("wpa_passphrase", wpa),
	RUN("rabbitmqctl add_user", wpa), RUN("rabbitmqctl change_password", wpa),
	RUN("htpasswd -b", htpasswd), RUN("htpasswd -cb", htpasswd), RUN("htpasswd -nb", wpa),
	RUN("rocommunity ", first_word), RUN("rwcommunity ", first_word),
	/* A password that goes into a pipe: echo X | sudo -S, echo bob:X | chpasswd. */
	{"sudo -S", false, RULE_COMMAND, verify_piped, NULL},
	{"passwd --stdin", false, RULE_COMMAND, verify_piped, NULL},
	{" chpasswd", false, RULE_COMMAND, verify_piped, NULL},
	{"--password-stdin", false, RULE_COMMAND, verify_piped, NULL},
	{"cryptsetup ", false, RULE_COMMAND, verify_piped, NULL},

	NAMED("nvalid user ", who_sshd), NAMED("llegal user ", who_sshd),
	NAMED("failures for ", who_sshd), NAMED("nonexistent user ", who_sshd),
	NAMED("nvalid login as ", who_sshd), NAMED("existent login as ", who_sshd),
	NAMED("nknown user ", who_next),
	/* Without the quote these would be the words of every login. */
	NAMED("iled for user '", who_quote), NAMED("iled for user [", who_quote),
	NAMED("iled for user \"", who_quote), NAMED("nied for user '", who_quote),
	NAMED("passwd entry for user ", who_next),
	NAMED("nformation about user ", who_next), NAMED("password attempt for ", who_from),
	NAMED("bad username [", who_next),
	NAMED("ogin failed: '", who_quote),
	NAMED("authentication of '", who_auth), NAMED("sasl_username=", who_sasl),
	NAMED("(set_id=", who_exim), NAMED("ftp ruser=" SCAN_WORD, who_next),
	NAMED("ftpd ruser=" SCAN_WORD, who_next), NAMED("dovecot ruser=" SCAN_WORD, who_next),
	NAMED("failed login on ", who_luci), NAMED("FAILED LOGIN", who_login),
	NAMED("pam_sss(", who_user_eq), NAMED("pam_ldap(", who_user_eq),
	NAMED("LOGIN FAILED, ", who_courier), NAMED("auth failed", who_dovecot),
	NAMED("orization failed, ", who_dovecot),
	NAMED("not known to the underlying", who_before_for),
	NAMED("] FAIL LOGIN", who_vsftpd), NAMED(": no such user found", who_proftpd),
	NAMED("failed to authenticate", who_openvpn), NAMED(" not found: /", who_user),
	NAMED("\" was not found in", who_quoted), NAMED("): unknown user", who_lookup),
	NAMED("NT_STATUS_NO_SUCH_USER", who_samba),
	NAMED("NT_STATUS_WRONG_PASSWORD", who_samba),
	NAMED("res=failed", who_acct), NAMED("\" 401 ", who_access),
	NAMED("ogin incorrect", who_both), NAMED("login attempt [", who_honeypot),

	NAMED("LOGIN TRIES", who_login), NAMED("LOGIN FAILURE", who_comma),
	NAMED("LOGIN FAILED FROM ", who_comma),
	NAMED("nvalid password for '", who_quote), NAMED("error for user '", who_quote),
	NAMED("tication error for '", who_quote), NAMED("mpty password from user '", who_quote),
	NAMED("(Login failed): No such", who_proftpd), NAMED("(Login failed): max", who_proftpd),
	NAMED(": user is not a UserAlias", who_proftpd),
	NAMED("] FTP response: C", who_vsftpd_530),
	NAMED("): pam_authenticate() f", who_lookup), NAMED("): User unknown", who_lookup),
	NAMED("): Attempted login with", who_lookup), NAMED("): Username+pass", who_lookup),
	NAMED("): Login failed", who_lookup), NAMED("): Login attempt", who_lookup),
	NAMED("): oauth2 failed", who_lookup), NAMED("): Authentication f", who_lookup),
	NAMED("ck pass; user (", who_quote), NAMED("getpwnam(", who_quote),
	NAMED("Refused user ", who_next),
	NAMED("' denied access (", who_userdb), NAMED("' not found", who_userdb),
	NAMED("' in realm `", who_userdb),
	NAMED("' - '", who_charon), NAMED("] - '", who_charon),
	NAMED("failed for peer ", who_all), NAMED("am_authenticate for '", who_quote),

	NAMED("auth failure: [user=", who_saslauthd), NAMED("badlogin: ", who_cyrus),
	NAMED("] plaintext ", who_cyrus_bare),
	NAMED("smtp authentication user=", who_smtpd), NAMED("AUTH failure (", who_sendmail),
	NAMED("password doesn't match for ", who_lighttpd),
	NAMED("pg_hba.conf entry for", who_hba), NAMED("failure; rhost=", who_proxmox),
	NAMED("user denied: ", who_myadmin), NAMED("Failed login for ", who_from),
	NAMED("Registration from '", who_sip), NAMED("AUTHFAIL: user=", who_xrdp),
	NAMED(": Request '", who_request), NAMED(" failed to authenticate as '", who_quote),
	NAMED(" with nonexistent user '", who_quote), NAMED(" to pass IP ACL as '", who_quote),

	NAMED("uthentication request for ", who_jellyfin), NAMED("Auth-Failure ip ", who_servarr),
	NAMED("or password for user ", who_kuma), NAMED("or password for user: ", who_technitium),
	NAMED("login attempt for user ", who_immich),
	NAMED("login failure for user ", who_from),
	NAMED("ntication attempt for ", who_from),
	NAMED("incorrect. Try again. IP: ", who_vaultwarden),
	NAMED("WebAPI login failure", who_qbittorrent), NAMED("Login failed for db:", who_odoo),
	NAMED("Login Attempt - username:", who_litespeed),
	NAMED("SIP auth failure (", who_freeswitch), NAMED("t find user [", who_find_user),
	NAMED(" global miniserv.pl \"failed", who_webmin),
	NAMED("Failed sign-in attempt using", who_seerr), NAMED("AccountID=\"", who_account),
	NAMED("\"msg\":\"Authentication failed", who_mongo),
	NAMED("authentication_failed=true", who_miniflux),
	NAMED("\"connection_failed\"", who_sftpgo), NAMED("\"user.login\"", who_teleport),
	NAMED("\"invalid_login\"", who_authentik), NAMED("ailed login for '", who_quote),
	NAMED("] status [NT_STATUS_", who_share),

	HEX("type=EXECVE", verify_execve),
	HEX("proctitle=" SCAN_HEX SCAN_HEX, verify_hex),
	HEX(" cmd=" SCAN_HEX SCAN_HEX SCAN_HEX SCAN_HEX, verify_hex),
	HEX(" data=" SCAN_HEX SCAN_HEX SCAN_HEX SCAN_HEX, verify_hex),

	{"PRIVATE KEY", false, RULE_PRIVATE_KEY, verify_pem, NULL},
	{"eyJ" SCAN_WORD, false, RULE_JWT, verify_jwt, NULL},
	{"ZXlK" SCAN_WORD, false, RULE_JWT, verify_jwt, NULL},
	{"$1$" SCAN_WORD, false, RULE_HASH, verify_hash, NULL},
	{"$5$" SCAN_WORD, false, RULE_HASH, verify_hash, NULL},
	{"$6$" SCAN_WORD, false, RULE_HASH, verify_hash, NULL},
	{"$y$" SCAN_WORD, false, RULE_HASH, verify_hash, NULL},
	{"$2a$" SCAN_DIGIT, false, RULE_HASH, verify_hash, NULL},
	{"$2b$" SCAN_DIGIT, false, RULE_HASH, verify_hash, NULL},
	{"$2y$" SCAN_DIGIT, false, RULE_HASH, verify_hash, NULL},
	{"$argon2", false, RULE_HASH, verify_hash, NULL},

	PREFIX(AWS, "AKIA", base32_16), PREFIX(AWS, "ASIA", base32_16),
	PREFIX(AWS, "ABIA", base32_16), PREFIX(AWS, "ACCA", base32_16),
	PREFIX(AWS, "ABSKQm", base64_100),
	PREFIX(AWS, "bedrock-api-key-", dotted_20),
	{SCAN_DIGIT "Q~" SCAN_WORD, false, RULE_AZURE, verify_azure, NULL},

	PREFIX(GITHUB, "ghp_", alnum_30), PREFIX(GITHUB, "gho_", alnum_30),
	PREFIX(GITHUB, "ghu_", alnum_30), PREFIX(GITHUB, "ghs_", dotted_20),
	PREFIX(GITHUB, "ghr_", alnum_30), PREFIX(GITHUB, "github_pat_", word_30),

	PREFIX(GITLAB, "glpat-", dotted_16), PREFIX(GITLAB, "gldt-", word_16),
	PREFIX(GITLAB, "glrt-", dotted_16), PREFIX(GITLAB, "glcbt-", word_16),
	PREFIX(GITLAB, "glptt-", word_16), PREFIX(GITLAB, "glft-", word_16),
	PREFIX(GITLAB, "glffct-", word_16), PREFIX(GITLAB, "glimt-", word_16),
	PREFIX(GITLAB, "glagent-", word_16), PREFIX(GITLAB, "gloas-", word_16),
	PREFIX(GITLAB, "glsoat-", word_16), PREFIX(GITLAB, "GR1348941", word_16),
	{"_gitlab_session=", false, RULE_GITLAB, verify_token, &alnum_20},

	PREFIX(GOOGLE, "AIza", word_35), PREFIX(GOOGLE, "ya29.", word_30),
	PREFIX(GOOGLE, "GOCSPX-", word_20),

	PREFIX(SLACK, "xoxb-", dashed_24), PREFIX(SLACK, "xoxp-", dashed_24),
	PREFIX(SLACK, "xoxa-", slack_old), PREFIX(SLACK, "xoxo-", dashed_24),
	PREFIX(SLACK, "xoxr-", slack_old), PREFIX(SLACK, "xoxs-", dashed_24),
	PREFIX(SLACK, "xoxe-", dashed_24), PREFIX(SLACK, "xoxe.xox", dotted_40),
	PREFIX(SLACK, "xoxc-", dashed_24), PREFIX(SLACK, "xoxd-", dashed_24),
	PREFIX(SLACK, "xapp-", dashed_24),
	{"hooks.slack.com/", false, RULE_SLACK, verify_webhook, &slack_hook},

	PREFIX(STRIPE, "sk_live_", alnum_16), PREFIX(STRIPE, "sk_test_", alnum_16),
	PREFIX(STRIPE, "sk_prod_", alnum_16), PREFIX(STRIPE, "rk_live_", alnum_16),
	PREFIX(STRIPE, "rk_test_", alnum_16), PREFIX(STRIPE, "rk_prod_", alnum_16),
	PREFIX(STRIPE, "whsec_", alnum_20),

	PREFIX(AI, "sk-ant-", word_30), PREFIX(AI, "sk-proj-", word_30),
	PREFIX(AI, "sk-svcacct-", word_30), PREFIX(AI, "sk-admin-", word_30),
	PREFIX(AI, "sk-or-v1-", word_30), RANDOM(AI, "sk-" SCAN_WORD, word_20),
	PREFIX(AI, "gsk_", alnum_30), PREFIX(AI, "pplx-", alnum_30),
	PREFIX(AI, "hf_" SCAN_WORD, alpha_34), PREFIX(AI, "api_org_", alpha_34),
	PREFIX(AI, "xai-", alnum_30),

	{SCAN_DIGIT ":AA", false, RULE_TELEGRAM, verify_telegram, NULL},

	PREFIX(TOKEN, "npm_", alnum_30), PREFIX(TOKEN, "pypi-", word_30),
	PREFIX(TOKEN, "rubygems_", alnum_30), PREFIX(TOKEN, "dop_v1_", hex_32),
	PREFIX(TOKEN, "doo_v1_", hex_32), PREFIX(TOKEN, "dor_v1_", hex_32),
	PREFIX(TOKEN, "shpat_", alnum_30), PREFIX(TOKEN, "shpca_", alnum_30),
	PREFIX(TOKEN, "shppa_", alnum_30), PREFIX(TOKEN, "shpss_", alnum_30),
	{"SG." SCAN_WORD, false, RULE_TOKEN, verify_sendgrid, NULL},
	PREFIX(TOKEN, "A3-" SCAN_WORD, onepassword), PREFIX(TOKEN, "s-s4t2", word_30),
	PREFIX(TOKEN, "SK" SCAN_HEX SCAN_HEX SCAN_HEX, hex_32_only),
	PREFIX(TOKEN, "hvs.", word_20), PREFIX(TOKEN, "hvb.", word_30),
	PREFIX(TOKEN, "dp.pt.", word_30), PREFIX(TOKEN, "dp.st.", dotted_20),
	PREFIX(TOKEN, "dapi", hex_32), PREFIX(TOKEN, "dckr_pat_", word_20),
	PREFIX(TOKEN, "dckr_oat_", word_20), PREFIX(TOKEN, "lin_api_", alnum_30),
	PREFIX(TOKEN, "ntn_", alnum_30), PREFIX(TOKEN, "secret_", alnum_30),
	PREFIX(TOKEN, "figd_", word_30), PREFIX(TOKEN, "tskey-", word_20),
	PREFIX(TOKEN, "vcp_", alnum_30), PREFIX(TOKEN, "vci_", alnum_30),
	PREFIX(TOKEN, "vca_", alnum_30), PREFIX(TOKEN, "vcr_", alnum_30),
	PREFIX(TOKEN, "vck_", alnum_30), PREFIX(TOKEN, "cfat_", alnum_30),
	PREFIX(TOKEN, "cfut_", alnum_30), PREFIX(TOKEN, "cfk_", alnum_30),
	PREFIX(TOKEN, "v1.0-", hex_32), PREFIX(TOKEN, "glsa_", word_30),
	PREFIX(TOKEN, "glc_", dotted_40), PREFIX(TOKEN, "sntrys_", dotted_40),
	PREFIX(TOKEN, "sntryu_", hex_32), PREFIX(TOKEN, "NRAK-", alnum_20),
	PREFIX(TOKEN, "NRII-", word_20), PREFIX(TOKEN, "NRJS-", alnum_16),
	PREFIX(TOKEN, "PMAK-", word_30), PREFIX(TOKEN, "pul-", hex_32),
	PREFIX(TOKEN, "HRKU-", word_30), PREFIX(TOKEN, "EZAK", alnum_30),
	PREFIX(TOKEN, "EZTK", alnum_30), PREFIX(TOKEN, "duffel_", word_30),
	PREFIX(TOKEN, "dt0c01.", dotted_40), PREFIX(TOKEN, "FLWSECK", hex_12),
	PREFIX(TOKEN, "fo1_", word_30), PREFIX(TOKEN, "fm1r_", dotted_40),
	PREFIX(TOKEN, "fm2_", dotted_40), PREFIX(TOKEN, "shippo_", word_30),
	PREFIX(TOKEN, "sq0csp-", word_30), PREFIX(TOKEN, "sq0atp-", word_20),
	PREFIX(TOKEN, "EAAA", word_57), PREFIX(TOKEN, "EAAC", word_57),
	PREFIX(TOKEN, "EAAM", word_57), PREFIX(TOKEN, "tfp_", dotted_40),
	PREFIX(TOKEN, "pscale_", word_30), PREFIX(TOKEN, "rdme_", alnum_30),
	PREFIX(TOKEN, "sgp_", word_30), PREFIX(TOKEN, "pnu_", alnum_30),
	PREFIX(TOKEN, "ops_eyJ", base64_100), PREFIX(TOKEN, "AGE-SECRET-KEY-1", base32_age),
	PREFIX(TOKEN, "CLOJARS_", alnum_30), PREFIX(TOKEN, "sha256~", word_30),
	PREFIX(TOKEN, "API-", base32_age), PREFIX(TOKEN, "atlasv1.", word_30),
	PREFIX(TOKEN, "ATATT3", base64_100), PREFIX(TOKEN, "ATCTT3", base64_100),
	PREFIX(TOKEN, "AKCp", alnum_30), PREFIX(TOKEN, "cmVmd", alnum_30),
	PREFIX(TOKEN, "LTAI", alnum_14), PREFIX(TOKEN, "p8e-", hex_32),
	PREFIX(TOKEN, "key-" SCAN_HEX, hex_32_only), PREFIX(TOKEN, "xkeysib-", word_30),
	PREFIX(TOKEN, "AQVN", word_30),
	PREFIX(TOKEN, "squ_", alnum_30), PREFIX(TOKEN, "sqp_", alnum_30),
	PREFIX(TOKEN, "sqa_", alnum_30), PREFIX(TOKEN, "dnkey-", dotted_40),
	PREFIX(TOKEN, "fio-u-", word_30), PREFIX(TOKEN, "pat.", dotted_40),
	PREFIX(TOKEN, "nfp_", alnum_30), PREFIX(TOKEN, "oauth:", alnum_30),
	{"/api/webhooks/", false, RULE_TOKEN, verify_webhook, &any_hook},
	{"webhook.office.com/", false, RULE_TOKEN, verify_webhook, &any_hook},
	{NULL, false, 0, NULL, NULL},
};

scan_guard rule_guard(const struct literal *l)
{
	const struct name_form *f;

	if (l->verify == verify_url) {
		return guard_url;
	}
	if (l->verify == verify_typed) {
		f = l->arg;
		return f->blanks && f->behind == NULL ? guard_name : NULL;
	}
	return NULL;
}
