package interceptors

import "testing"

// A mode that nobody has set, or that is none, lets nothing through.
//
// Covers VER-21.
func TestWhatIsNoModeIsInForce(t *testing.T) {
	for _, mode := range []Enforcement{0, EnforceStrict, EnforceStrict + 1} {
		for _, l := range []layer{layerPeer, layerToken, layerRule} {
			if !mode.inForce(l) {
				t.Errorf("mode %d lets a failure of layer %d through", mode, l)
			}
		}
	}
}
