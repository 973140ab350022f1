// Which proxy Go takes for a URL: cases as JSON on stdin, answers as JSON on stdout.
package main

import (
	"encoding/json"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

func main() {
	var cases []struct {
		HTTP, HTTPS, No, URL string
		CGI                  bool
	}
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	answers := []string{}
	for _, c := range cases {
		config := httpproxy.Config{HTTPProxy: c.HTTP, HTTPSProxy: c.HTTPS, NoProxy: c.No, CGI: c.CGI}
		target, err := url.Parse(c.URL)
		if err != nil {
			panic(err)
		}
		proxy, err := config.ProxyFunc()(target)
		switch {
		case err != nil || proxy != nil && proxy.Hostname() == "":
			answers = append(answers, "unusable")
		case proxy == nil:
			answers = append(answers, "direct")
		default:
			port := proxy.Port()
			if port == "" {
				port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[proxy.Scheme]
			}
			answers = append(answers, proxy.Scheme+" "+proxy.User.String()+" "+proxy.Hostname()+" "+port)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
