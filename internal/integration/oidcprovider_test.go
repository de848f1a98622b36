//go:build integration

package integration

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

const (
	// apiAudience is what access tokens of the shop are for.
	apiAudience = "https://api.shop.test"
	// callback is where the provider sends the user's browser back to; nobody listens.
	callback = "http://127.0.0.1/callback"
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 1 << 20
)

// provider is a running OpenID provider.
type provider struct {
	issuer string
	client *http.Client
}

// startOIDCProvider runs oidc-provider. The key is that of the client tts-key.
func startOIDCProvider(t *testing.T, key crypto.PublicKey) *provider {
	t.Helper()
	// Node finds the packages beside the script.
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join("testdata", "oidcprovider.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, dir, "oidcprovider.mjs", string(script))
	if err := os.Symlink(filepath.Join(component(t, "oidc-provider"), "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, Use: "sig", Algorithm: string(jose.ES256)}}})
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, command{
		name: "oidc-provider", program: "node", args: []string{path},
		env: []string{"NODE_ENV=production", "TTS_JWKS=" + string(jwks)},
	})
	return newProvider(t, p.waitAddress(t))
}

func newProvider(t *testing.T, issuer string) *provider {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &provider{issuer: issuer, client: &http.Client{Transport: transport}}
}

// tokens are a token endpoint's answer.
type tokens struct {
	Access string `json:"access_token"`
	ID     string `json:"id_token"`
}

// machineToken is an access token for the client itself (client credentials, RFC 6749
// section 4.4).
func (p *provider) machineToken(ctx context.Context, client, scope string) (string, error) {
	answer, err := p.token(ctx, client, url.Values{
		"grant_type": {"client_credentials"}, "resource": {apiAudience}, "scope": {scope},
	})
	return answer.Access, err
}

// token asks the token endpoint, as a client with a secret.
func (p *provider) token(ctx context.Context, client string, form url.Values) (tokens, error) {
	var answer tokens
	body, err := p.post(ctx, "/token", client, form)
	if err != nil {
		return tokens{}, err
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return tokens{}, err
	}
	return answer, nil
}

// revoke takes an access token back (RFC 7009).
func (p *provider) revoke(ctx context.Context, client, token string) error {
	_, err := p.post(ctx, "/token/revocation", client, url.Values{"token": {token}, "token_type_hint": {"access_token"}})
	return err
}

// operator does what only who runs the provider can do: "rotate", "retire".
func (p *provider) operator(ctx context.Context, what string) error {
	_, err := p.post(ctx, "/operator/"+what, "", nil)
	return err
}

func (p *provider) post(ctx context.Context, path, client string, form url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		req.SetBasicAuth(client, client+"-secret")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	return read(resp)
}

func read(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", resp.Status, body)
	}
	return body, nil
}

// login is what a user's browser and a web application do: the authorization code flow
// with PKCE (RFC 6749 section 4.1, RFC 7636), with the provider's own login and consent
// pages.
func (p *provider) login(ctx context.Context, client, user, scope string) (tokens, error) {
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	code, err := p.authorize(ctx, user, url.Values{
		"client_id": {client}, "response_type": {"code"}, "redirect_uri": {callback},
		"scope": {"openid " + scope}, "resource": {apiAudience}, "state": {rand.Text()}, "nonce": {rand.Text()},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	})
	if err != nil {
		return tokens{}, err
	}
	return p.token(ctx, client, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier},
	})
}

// promptPattern finds which page of the provider this is: login or consent.
var promptPattern = regexp.MustCompile(`name="prompt" value="(\w+)"`)

// maxPages is more than the pages and redirects of one login.
const maxPages = 20

// authorize is the browser's part: it ends at the callback with a code.
func (p *provider) authorize(ctx context.Context, user string, query url.Values) (code string, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{
		Transport: p.client.Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.issuer+"/auth?"+query.Encode(), http.NoBody)
	for range maxPages {
		if err != nil {
			return "", err
		}
		var resp *http.Response
		if resp, err = browser.Do(req); err != nil {
			return "", err
		}
		if resp.StatusCode >= 300 && resp.StatusCode < 400 {
			var next *url.URL
			next, err = resp.Location()
			if err := errors.Join(err, resp.Body.Close()); err != nil {
				return "", err
			}
			if strings.HasPrefix(next.String(), callback) {
				return codeOf(next, query.Get("state"))
			}
			req, err = http.NewRequestWithContext(ctx, http.MethodGet, next.String(), http.NoBody)
			continue
		}
		var page []byte
		if page, err = read(resp); err != nil {
			return "", err
		}
		prompt := promptPattern.FindSubmatch(page)
		if prompt == nil {
			return "", fmt.Errorf("%s is neither a login nor a consent page", resp.Request.URL.Path)
		}
		form := url.Values{"prompt": {string(prompt[1])}, "login": {user}, "password": {"of " + user}}
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, resp.Request.URL.String(), strings.NewReader(form.Encode()))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	}
	return "", fmt.Errorf("no code after %d pages", maxPages)
}

func codeOf(callback *url.URL, state string) (string, error) {
	answer := callback.Query()
	if answer.Get("state") != state || answer.Get("code") == "" {
		return "", fmt.Errorf("the provider refused: %s: %s", answer.Get("error"), answer.Get("error_description"))
	}
	return answer.Get("code"), nil
}
