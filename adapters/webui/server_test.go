package webui_test

import (
	"log/slog"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/webui"
	"github.com/liftbill/liftbill/app/clock"
)

// Whatever a program forgets to wire, it does not start: a page that panics is found by
// somebody who closes a month.
func TestPagesNeedEveryUseCase(t *testing.T) {
	t.Parallel()
	all := reflect.TypeFor[webui.Services]()
	require.Positive(t, all.NumField())
	log := slog.New(slog.DiscardHandler)
	for i := range all.NumField() {
		services := servicesOf(fixture(), &door{})
		reflect.ValueOf(&services).Elem().Field(i).SetZero()
		_, err := webui.New(services, webui.Options{}, clock.Fixed(now), log)
		require.ErrorContains(t, err, "Services."+all.Field(i).Name+" is nil")
	}
	services := servicesOf(fixture(), &door{})
	services.Deciding = (*ledger)(nil)
	_, err := webui.New(services, webui.Options{}, clock.Fixed(now), log)
	require.ErrorContains(t, err, "Services.Deciding is nil", "a nil pointer is no use case")
	for _, miss := range []func() (*webui.Server, error){
		func() (*webui.Server, error) {
			return webui.New(servicesOf(fixture(), &door{}), webui.Options{}, nil, log)
		},
		func() (*webui.Server, error) {
			return webui.New(servicesOf(fixture(), &door{}), webui.Options{}, clock.Fixed(now), nil)
		},
	} {
		_, err := miss()
		require.ErrorContains(t, err, "clock or their log")
	}
}
