//! Colours, as readers with each kind of colour blindness see them.

type Matrix = [[f64; 3]; 3];

/// How somebody sees red, green and blue: everybody, and the three kinds of dichromats, by the matrices that Machado,
/// Oliveira and Fernandes published in 2009.
pub const VIEWS: [(&str, Matrix); 4] = [
    ("all cones", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    (
        "no long cones",
        [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ],
    ),
    (
        "no medium cones",
        [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ],
    ),
    (
        "no short cones",
        [
            [1.255_528, -0.076_749, -0.178_779],
            [-0.078_411, 0.930_809, 0.147_602],
            [0.004_733, 0.691_367, 0.303_900],
        ],
    ),
];

/// From linear sRGB to XYZ, with the white of daylight at 1.
const TO_XYZ: Matrix = [[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]];

/// How far apart two colours such as `#D7301F` are in CIELAB: about 2 is just noticeable side by side.
pub fn difference(left: &str, right: &str, view: &Matrix) -> f64 {
    let (left, right) = (lab(left, view), lab(right, view));
    left.iter().zip(right).map(|(left, right)| (left - right).powi(2)).sum::<f64>().sqrt()
}

fn lab(colour: &str, view: &Matrix) -> [f64; 3] {
    let linear = [1, 3, 5].map(|place| {
        let value = f64::from(u8::from_str_radix(&colour[place..place + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    let seen = times(view, linear).map(|value| value.clamp(0.0, 1.0));
    let [x, y, z] = times(&TO_XYZ, seen)
        .map(|value| if value > 0.008_856 { value.cbrt() } else { 7.787 * value + 16.0 / 116.0 });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn times(matrix: &Matrix, vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(vector).map(|(left, right)| left * right).sum())
}
