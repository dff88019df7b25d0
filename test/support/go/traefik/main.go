// What Traefik makes of an answer to its HTTP provider. Arguments: the address that it asks, then host names. It prints, as JSON, to
// which address each name leads: by HTTP, and by TLS undecrypted or decrypted (SNI). Whatever Traefik refuses ends it with status 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	ptypes "github.com/traefik/paerser/types"
	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/middlewares/requestdecorator"
	httpmuxer "github.com/traefik/traefik/v3/pkg/muxer/http"
	tcpmuxer "github.com/traefik/traefik/v3/pkg/muxer/tcp"
	httpprovider "github.com/traefik/traefik/v3/pkg/provider/http"
	"github.com/traefik/traefik/v3/pkg/safe"
	"github.com/traefik/traefik/v3/pkg/tcp"
)

type found struct {
	HTTP string `json:"http,omitempty"`
	TCP  string `json:"tcp,omitempty"`
}

func main() {
	config := fetch(os.Args[1])
	mux := httpMuxer(config)
	sni := tcpMuxer(config)
	decorator := requestdecorator.New(nil)
	all := map[string]found{}
	for _, host := range os.Args[2:] {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, "http://"+host+"/", nil)
		// Rules look at the host that this one has read.
		decorator.ServeHTTP(recorder, request, mux.ServeHTTP)
		meta, err := tcpmuxer.NewConnData(host, client{}, nil)
		check(err)
		handler, _ := sni.Match(meta)
		address := ""
		if named, ok := handler.(named); ok {
			address = string(named)
		}
		all[host] = found{HTTP: recorder.Header().Get("leads-to"), TCP: address}
	}
	check(json.NewEncoder(os.Stdout).Encode(all))
}

func fetch(endpoint string) *dynamic.Configuration {
	var provider httpprovider.Provider
	provider.SetDefaults()
	provider.Endpoint = endpoint
	provider.PollInterval = ptypes.Duration(time.Hour)
	check(provider.Init())
	messages := make(chan dynamic.Message, 1)
	pool := safe.NewPool(context.Background())
	check(provider.Provide(messages, pool))
	select {
	case message := <-messages:
		return message.Configuration
	case <-time.After(5 * time.Second):
		check(fmt.Errorf("Traefik takes no configuration from %s", endpoint))
	}
	return nil
}

func httpMuxer(config *dynamic.Configuration) *httpmuxer.Muxer {
	parser, err := httpmuxer.NewSyntaxParser()
	check(err)
	mux := httpmuxer.NewMuxer(parser)
	for name, router := range config.HTTP.Routers {
		service := config.HTTP.Services[router.Service]
		if service == nil || service.LoadBalancer == nil || len(service.LoadBalancer.Servers) != 1 {
			check(fmt.Errorf("router %s has no service %s", name, router.Service))
		}
		url := service.LoadBalancer.Servers[0].URL
		priority := router.Priority
		if priority == 0 {
			priority = httpmuxer.GetRulePriority(router.Rule)
		}
		check(mux.AddRoute(router.Rule, "v3", priority, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("leads-to", url)
		})))
	}
	return mux
}

// A connection as far as a rule looks at it.
type client struct{ net.Conn }

func (client) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4242} }
func (client) CloseWrite() error    { return nil }

type named string

func (named) ServeTCP(tcp.WriteCloser) {}

func tcpMuxer(config *dynamic.Configuration) *tcpmuxer.Muxer {
	mux, err := tcpmuxer.NewMuxer()
	check(err)
	for name, router := range config.TCP.Routers {
		service := config.TCP.Services[router.Service]
		if service == nil || service.LoadBalancer == nil || len(service.LoadBalancer.Servers) != 1 {
			check(fmt.Errorf("router %s has no service %s", name, router.Service))
		}
		priority := router.Priority
		if priority == 0 {
			priority = tcpmuxer.GetRulePriority(router.Rule)
		}
		check(mux.AddRoute(router.Rule, "v3", priority, named(service.LoadBalancer.Servers[0].Address)))
	}
	return mux
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
