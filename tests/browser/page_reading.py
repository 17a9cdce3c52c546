"""What stands on the page."""

from playwright.sync_api import Page

CONTRAST = """elements => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const rgba = colour => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const luminance = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    return elements.filter(element => element.checkVisibility()).map(element => {
        let ground = element;
        while (rgba(getComputedStyle(ground).backgroundColor)[3] < 255 && ground.parentElement) ground = ground.parentElement;
        const pair = [luminance(rgba(getComputedStyle(element).color)),
                      luminance(rgba(getComputedStyle(ground).backgroundColor))].sort((a, b) => b - a);
        return (pair[0] + 0.05) / (pair[1] + 0.05);
    });
}"""


def titles(page: Page) -> list[str]:
    """Of the feed's rows, newest first."""
    return page.locator("#feed li .title").all_text_contents()
